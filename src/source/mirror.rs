//! One bare, shallow mirror on disk and the requests that fill it. Everything here blocks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gix::protocol::handshake::Ref;
use gix::remote::{Direction, fetch};

use super::address::Scheme;
use super::reach::{self, Login, Reach, SshFiles};
use super::refs::Refs;
use super::{Commit, SourceError, SourceTree, classify};

/// Packs after which the mirror is made anew: every new commit adds one, and each costs an open file and a map.
const MAX_PACKS: usize = 64;

/// What is asked for in every listing; other references are asked for by name once somebody wants them.
const LISTED: &[&str] = &["HEAD", "refs/heads/*", "refs/tags/*"];

/// A mirror folder.
pub(super) struct Mirror {
    reach: Reach,
    folder: PathBuf,
    /// Time for one request.
    limit: Duration,
    opened: Option<Opened>,
}

#[derive(Clone)]
struct Opened {
    store: gix::ThreadSafeRepository,
    damaged: Arc<AtomicBool>,
}

impl Mirror {
    pub(super) fn new(reach: Reach, folder: PathBuf, limit: Duration) -> Self {
        Self { reach, folder, limit, opened: None }
    }

    /// Logs in with something that was found out since.
    pub(super) fn log_in(&mut self, login: Login) {
        self.reach.login = login;
    }

    /// Lists the references of the remote: one request after the handshake.
    pub(super) fn list(&mut self, also: &[String]) -> Result<Refs, SourceError> {
        let (repository, _files) = self.ready()?;
        let remote = self.remote(&repository)?;
        let specs = LISTED.iter().map(|name| (*name).to_owned()).chain(also.iter().cloned());
        let extra_refspecs =
            specs.map(|name| refspec(&name)).collect::<Result<Vec<_>, _>>().map_err(|error| self.cache_failed(error))?;
        let options = gix::remote::ref_map::Options { extra_refspecs, ..Default::default() };
        let connection = self.connect(&remote)?;
        let (map, _) = connection.ref_map(gix::progress::Discard, options).map_err(|error| self.failed(&error))?;
        Ok(refs_of(&map.remote_refs))
    }

    /// The commit, if its files are here.
    pub(super) fn find(&mut self, commit: &Commit) -> Result<Option<SourceTree>, SourceError> {
        let Opened { store, damaged } = self.open()?;
        let repository = store.to_thread_local();
        let Ok(id) = gix::ObjectId::from_hex(commit.as_str().as_bytes()) else { return Ok(None) };
        let Ok(object) = repository.find_object(id) else { return Ok(None) };
        // The hash of a tag object is accepted as well: multi-source applications record it.
        let Ok(root) = object.peel_to_tree().map(|tree| tree.id) else { return Ok(None) };
        Ok(Some(SourceTree::new(store, commit.clone(), root, self.reach.address.to_string(), damaged)))
    }

    /// Fetches one commit without its history.
    pub(super) fn fetch(&mut self, commit: &Commit, interrupt: &AtomicBool) -> Result<(), SourceError> {
        if self.pack_count() > MAX_PACKS || !self.is_intact()? {
            self.reset();
        }
        let (repository, _files) = self.ready()?;
        let spec = format!("+{commit}:refs/gitops/{commit}");
        let remote = self
            .remote(&repository)?
            .with_refspecs([spec.as_str()], Direction::Fetch)
            .map_err(|error| self.cache_failed(error))?;
        // A fetch lists references first. The commit is known, so it asks for those below a name that nobody uses.
        let nothing = refspec("refs/gitops/nothing").map_err(|error| self.cache_failed(error))?;
        let connection = self.connect(&remote)?;
        let prepared = connection
            .prepare_fetch(
                gix::progress::Discard,
                gix::remote::ref_map::Options { extra_refspecs: vec![nothing], ..Default::default() },
            )
            .map_err(|error| self.failed(&error))?
            .with_shallow(fetch::Shallow::DepthAtRemote(std::num::NonZeroU32::MIN));
        prepared.receive(gix::progress::Discard, interrupt).map_err(|error| self.fetch_failed(commit, &error))?;
        Ok(())
    }

    /// Commits of the mirror that begin with these digits.
    pub(super) fn find_abbreviated(&mut self, digits: &str) -> Result<Vec<Commit>, SourceError> {
        let repository = self.open()?.store.to_thread_local();
        let names = repository.references().map_err(|error| self.cache_failed(error))?;
        let prefix = format!("refs/gitops/{}", digits.to_ascii_lowercase());
        let matching = names.prefixed(prefix.as_str()).map_err(|error| self.cache_failed(error))?;
        Ok(matching.flatten().filter_map(|reference| Commit::parse(&reference.id().to_string())).collect())
    }

    /// The mirror for one request, with the files for ssh that live as long.
    fn ready(&mut self) -> Result<(gix::Repository, SshFiles), SourceError> {
        let mut repository = self.open()?.store.to_thread_local();
        let (files, command) = self.reach.ssh()?;
        let setting = format!("core.sshCommand={command}");
        let mut config = repository.config_snapshot_mut();
        config.append_config([setting.as_str()], gix::config::Source::Api).map_err(|error| self.cache_failed(error))?;
        config.commit().map_err(|error| self.cache_failed(error))?;
        Ok((repository, files))
    }

    /// Opens the mirror, or makes a new one where there is none or it is broken.
    fn open(&mut self) -> Result<Opened, SourceError> {
        if let Some(opened) = &self.opened {
            if self.folder.join("objects").is_dir() && !opened.damaged.load(Ordering::Relaxed) {
                return Ok(opened.clone());
            }
            self.reset();
        } else {
            remove_leftovers(&self.folder);
        }
        let store = match gix::open_opts(&self.folder, self.open_options()) {
            Ok(repository) => repository.into_sync(),
            Err(_) => self.create()?,
        };
        let opened = Opened { store, damaged: Arc::default() };
        self.opened = Some(opened.clone());
        Ok(opened)
    }

    fn create(&mut self) -> Result<gix::ThreadSafeRepository, SourceError> {
        self.reset();
        std::fs::create_dir_all(&self.folder).map_err(|error| self.cache_failed(error))?;
        gix::ThreadSafeRepository::init_opts(
            &self.folder,
            gix::create::Kind::Bare,
            gix::create::Options::default(),
            self.open_options(),
        )
        .map_err(|error| self.cache_failed(error))
    }

    /// Forgets everything; what is still wanted is fetched again.
    pub(super) fn reset(&mut self) {
        if let Some(opened) = self.opened.take() {
            // Trees that are still open read from files that are going away.
            opened.damaged.store(true, Ordering::Relaxed);
        }
        // Absent already, or in the way of the next step, which says so.
        let _ = std::fs::remove_dir_all(&self.folder);
    }

    /// Nothing from the machine: no system, user or environment configuration.
    fn open_options(&self) -> gix::open::Options {
        gix::open::Options::isolated().config_overrides(["protocol.version=2", "ssh.variant=ssh", "core.logAllRefUpdates=false"])
    }

    /// False when a commit that was fetched is gone: the remote would be told that it is here, and leave it out.
    fn is_intact(&mut self) -> Result<bool, SourceError> {
        let repository = self.open()?.store.to_thread_local();
        let Ok(names) = repository.references() else { return Ok(false) };
        let Ok(fetched) = names.prefixed("refs/gitops/") else { return Ok(false) };
        let readable = |id: gix::ObjectId| repository.find_object(id).is_ok_and(|object| object.peel_to_tree().is_ok());
        Ok(fetched.into_iter().all(|reference| reference.is_ok_and(|reference| readable(reference.id().detach()))))
    }

    fn pack_count(&self) -> usize {
        count_packs(&self.folder.join("objects/pack"))
    }

    fn remote<'r>(&self, repository: &'r gix::Repository) -> Result<gix::Remote<'r>, SourceError> {
        let remote =
            repository.remote_at_without_url_rewrite(self.reach.transport_url().as_str()).map_err(|error| self.failed(&error))?;
        Ok(remote.with_fetch_tags(fetch::Tags::None))
    }

    fn connect<'a, 'r>(
        &self,
        remote: &'a gix::Remote<'r>,
    ) -> Result<
        gix::remote::Connection<'a, 'static, 'r, Box<dyn gix::protocol::transport::client::blocking_io::Transport + Send>>,
        SourceError,
    > {
        let connection = remote.connect(Direction::Fetch).map_err(|error| self.failed(&error))?;
        // Nobody sits here to answer a prompt, and helpers would bring in the machine's own credentials.
        let connection = connection.with_credentials(|_| Ok(None));
        Ok(match self.reach.address.scheme() {
            Scheme::Http | Scheme::Https => connection.with_transport_options(Box::new(self.reach.http_options(self.limit)?)),
            Scheme::Ssh | Scheme::File => connection,
        })
    }

    fn cache_failed(&self, error: impl std::fmt::Display) -> SourceError {
        classify::cache_failed(&self.reach.address, &error.to_string())
    }

    fn fetch_failed(&self, commit: &Commit, error: &gix::Error) -> SourceError {
        if classify::says_no_such_commit(error) { self.no_such_commit(commit) } else { self.failed(error) }
    }

    pub(super) fn no_such_commit(&self, commit: &Commit) -> SourceError {
        SourceError::NoSuchRevision { url: self.reach.address.to_string(), revision: commit.to_string() }
    }

    fn failed(&self, error: &gix::Error) -> SourceError {
        classify::request_failed(&self.reach.address, self.limit, error).with_origin(&reach::origin(&self.reach.access))
    }
}

/// Removes what a process that was killed in the middle of a fetch left behind. A mirror has one owner, so whatever is locked
/// when it is first opened is locked by nobody, and would stay so for ever.
fn remove_leftovers(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_leftovers(&path);
        } else if is_leftover(&path) {
            // What cannot be removed is named by the fetch that it stands in the way of.
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// A lock of any file, or a pack that was being received.
fn is_leftover(path: &Path) -> bool {
    let unfinished = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".tmp"));
    unfinished || path.extension().is_some_and(|extension| extension == "lock")
}

fn count_packs(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.flatten().filter(|entry| entry.path().extension().is_some_and(|extension| extension == "pack")).count()
}

/// Listing writes nothing; the destination is there because a pattern needs one.
fn refspec(name: &str) -> Result<gix::refspec::RefSpec, gix::Error> {
    let spec = format!("+{name}:refs/listed/{name}");
    gix::refspec::parse(spec.as_str().into(), gix::refspec::parse::Operation::Fetch).map(|spec| spec.to_owned())
}

/// True for a full reference name that a listing can ask for.
pub(super) fn is_listable(name: &str) -> bool {
    !name.contains('*') && refspec(name).is_ok()
}

fn refs_of(listed: &[Ref]) -> Refs {
    let entries = listed.iter().filter_map(|reference| {
        let (name, _, target) = reference.unpack();
        // The object behind a tag, for annotated ones.
        let id = match reference {
            Ref::Peeled { object, .. } | Ref::Direct { object, .. } | Ref::Symbolic { object, .. } => *object,
            Ref::Unborn { .. } => target?.to_owned(),
        };
        Some((name.to_string(), Commit::parse(&id.to_string())?))
    });
    Refs(entries.collect())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::address::Address;
    use super::super::credentials::{Access, SecretText};
    use super::super::reach::SSH_COMMAND;
    use super::super::testing::GitRepo;
    use super::*;

    #[test]
    fn locks_of_a_killed_process_do_not_stand_in_the_way() {
        let (folder, repo) = (tempfile::tempdir().unwrap(), GitRepo::new());
        let first = repo.write("a.yaml", "a: 1\n").commit("first");
        let address = Address::parse(&format!("file://{}", repo.folder.path().display())).unwrap();
        let reach = || Reach::new(address.clone(), Arc::default());
        let mirror = || Mirror::new(reach(), folder.path().to_owned(), Duration::from_secs(20));
        mirror().fetch(&first, &AtomicBool::new(false)).unwrap();
        let second = repo.write("a.yaml", "a: 2\n").commit("second");
        let leftovers = ["shallow.lock".to_owned(), format!("refs/gitops/{second}.lock"), "objects/pack/.tmpAbCdEf".to_owned()];
        for name in &leftovers {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let mut next = mirror();
        next.fetch(&second, &AtomicBool::new(false)).unwrap();
        assert!(next.find(&second).unwrap().is_some() && next.find(&first).unwrap().is_some());
        assert!(leftovers.iter().all(|name| !folder.path().join(name).exists()));
    }

    /// A stand-in for ssh that runs the remote command here, and writes down how it was called.
    #[test]
    fn ssh_urls_go_through_the_ssh_program_without_prompts() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, repo) = (tempfile::tempdir().unwrap(), GitRepo::new());
        let commit = repo.write("a.yaml", "a: 1\n").commit("first");
        let (program, log) = (folder.path().join("ssh"), folder.path().join("log"));
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> {}\nwhile [ \"$1\" != git@host.example ]; do shift; done; shift\nexec sh -c \"$*\"\n",
            log.display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let access = Arc::new(Access {
            known_hosts: Some("".into()),
            ssh_private_key: SecretText::new("marker".into()),
            ..Access::default()
        });
        for url in [
            format!("ssh://git@host.example:2222{}", repo.folder.path().display()),
            format!("git@host.example:{}", repo.folder.path().display()),
        ] {
            let mut reach = Reach::new(Address::parse(&url).unwrap(), access.clone());
            reach.ssh_command = SSH_COMMAND.replacen("ssh", &program.display().to_string(), 1);
            let mut mirror = Mirror::new(reach, folder.path().join("mirror"), Duration::from_secs(20));
            mirror.reset();
            let refs = mirror.list(&[]).unwrap();
            assert_eq!(refs.0["refs/heads/main"], commit);
            mirror.fetch(&commit, &AtomicBool::new(false)).unwrap();
            assert!(mirror.find(&commit).unwrap().is_some());
        }
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.lines().all(|line| line.contains("BatchMode=yes") && line.contains("git@host.example")), "{log}");
        assert!(log.contains("2222") && log.contains("StrictHostKeyChecking=yes") && log.contains("/key"), "{log}");
        assert!(!log.contains("marker"), "{log}");
    }
}
