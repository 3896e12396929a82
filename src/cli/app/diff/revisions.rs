//! `diff --revisions A..B`: what changes between two revisions of a repository, without a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::api::Application;
use crate::api::application::ApplicationSource;
use crate::cli::Failure;
use crate::cli::app::workshop::Workshop;
use crate::cli::secrets::git;
use crate::cli::worktree::Borrowed;
use crate::diff::{normalise_target, object_diff};
use crate::render::Tools;
use crate::resource::{Object, ResourceKey, yaml};
use crate::source::same_repository;
use crate::ui::diff_view::AppDiff;

/// Compares what the Applications of the repository, or folders of it, give at two revisions.
pub(super) async fn compare(range: &str, folders: &[String]) -> Result<Vec<AppDiff>, Failure> {
    let borrowed = Borrowed::of(Path::new("."))?;
    let (from, to) = Range::parse(range)?.commits(&borrowed)?;
    let sides = if folders.is_empty() {
        let remotes = borrowed.remotes()?;
        pair(applications(&borrowed, &from, &remotes)?, applications(&borrowed, &to, &remotes)?)
    } else {
        folders.iter().map(|folder| (folder.clone(), (Some(of_folder(folder)), Some(of_folder(folder))))).collect()
    };
    if sides.is_empty() {
        return Err(Failure::new(format!("no Application manifest in {} uses this repository", borrowed.top().display()))
            .with_hint(format!("name the folders to render: kubectl gitops diff --revisions {range} FOLDER")));
    }
    let workshop = Workshop::new(Tools::default())?;
    let mut diffs = Vec::new();
    for (name, (old, new)) in sides {
        let old = side(&workshop, old, &borrowed, &from).await?;
        let new = side(&workshop, new, &borrowed, &to).await?;
        diffs.push(AppDiff {
            app: name,
            base: short(&from),
            revision: short(&to),
            objects: differences(&old, &new),
            prunes: true,
        });
    }
    Ok(diffs)
}

/// `A..B`, `A...B` (since they parted), or `A`, which is compared with the files.
struct Range<'a> {
    from: &'a str,
    to: Option<&'a str>,
    since_parted: bool,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Result<Self, Failure> {
        let (from, to, since_parted) = match (text.split_once("..."), text.split_once("..")) {
            (Some((from, to)), _) => (from, Some(to), true),
            (_, Some((from, to))) => (from, Some(to), false),
            _ => (text, None, false),
        };
        if from.is_empty() || from.starts_with('-') {
            return Err(Failure::new(format!("{text:?} names no revisions")).with_hint("write it like --revisions main..HEAD"));
        }
        Ok(Self { from, to: to.map(|to| if to.is_empty() { "HEAD" } else { to }), since_parted })
    }

    fn commits(&self, borrowed: &Borrowed) -> Result<(String, String), Failure> {
        let to = match self.to {
            Some(to) => borrowed.revision(to)?,
            None => borrowed.files()?,
        };
        let from = borrowed.revision(self.from)?;
        if !self.since_parted {
            return Ok((from, to));
        }
        let base = git::run(borrowed.top(), ["merge-base", &from, &to])?;
        Ok((borrowed.revision(String::from_utf8_lossy(&base).trim())?, to))
    }
}

fn short(commit: &str) -> String {
    commit.get(..7).unwrap_or(commit).to_owned()
}

fn of_folder(folder: &str) -> Application {
    let source = ApplicationSource { path: folder.trim_end_matches('/').to_owned(), ..ApplicationSource::default() };
    let mut app = Application::default();
    app.metadata.name = Some(folder.trim_matches('/').rsplit('/').next().unwrap_or(folder).to_owned());
    app.spec.source = Some(source);
    app
}

type Sides = BTreeMap<String, (Option<Application>, Option<Application>)>;

fn pair(old: BTreeMap<String, Application>, new: BTreeMap<String, Application>) -> Sides {
    let mut sides = Sides::new();
    old.into_iter().for_each(|(name, app)| sides.entry(name).or_default().0 = Some(app));
    new.into_iter().for_each(|(name, app)| sides.entry(name).or_default().1 = Some(app));
    sides
}

/// The Applications whose manifests the repository holds at a commit, and that use the repository.
fn applications(borrowed: &Borrowed, commit: &str, remotes: &[String]) -> Result<BTreeMap<String, Application>, Failure> {
    // Git finds nothing with exit code 1.
    let listed =
        borrowed.ask(&["grep", "-l", "-z", "-E", "^kind: *Application *$", commit, "--", "*.yaml", "*.yml"]).unwrap_or_default();
    let mut found = BTreeMap::new();
    for file in git::names(&listed) {
        let text = borrowed.ask(&["show", &file])?;
        let Ok(documents) = yaml::parse_stream(&String::from_utf8_lossy(&text)) else { continue };
        let kinds = documents.into_iter().filter(|document| document.value["kind"] == "Application");
        for app in kinds.filter_map(|document| serde_json::from_value::<Application>(document.value).ok()) {
            if app.sources().iter().any(|source| is_here(source, remotes)) {
                found.insert(format!("{}/{}", app.namespace(), app.name()).trim_start_matches('/').to_owned(), app);
            }
        }
    }
    Ok(found)
}

fn is_here(source: &ApplicationSource, remotes: &[String]) -> bool {
    remotes.iter().any(|remote| same_repository(remote, &source.repo_url))
}

async fn side(sources: &Workshop, app: Option<Application>, borrowed: &Borrowed, commit: &str) -> Result<Vec<Object>, Failure> {
    let Some(mut app) = app else { return Ok(Vec::new()) };
    let remotes = borrowed.remotes()?;
    let spec = &mut app.spec;
    for source in spec.source.iter_mut().chain(spec.sources.iter_mut()) {
        if source.repo_url.is_empty() || is_here(source, &remotes) {
            source.repo_url = borrowed.url();
            commit.clone_into(&mut source.target_revision);
        }
    }
    // A folder that is not there yet, or no more, gives nothing.
    let own: Vec<&ApplicationSource> = app.sources().into_iter().filter(|source| source.repo_url == borrowed.url()).collect();
    let exists = |source: &&ApplicationSource| {
        source.path.is_empty()
            || source.path == "."
            || borrowed.ask(&["cat-file", "-e", &format!("{commit}:{}", source.path)]).is_ok()
    };
    if !own.iter().all(exists) {
        return Ok(Vec::new());
    }
    let instance = app.name().to_owned();
    Ok(sources.load(&app, &instance, None, &Arc::default()).await?.objects)
}

/// Both sides, object by object. Pure.
fn differences(old: &[Object], new: &[Object]) -> Vec<crate::diff::ObjectDiff> {
    let by_key = |objects: &[Object]| -> BTreeMap<ResourceKey, Object> {
        objects.iter().map(|object| (object.key(), normalise_target(object))).collect()
    };
    let (old, new) = (by_key(old), by_key(new));
    let keys: BTreeSet<&ResourceKey> = old.keys().chain(new.keys()).collect();
    keys.into_iter().filter_map(|key| object_diff(key, old.get(key), new.get(key))).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_git_reads_them() {
        let read = |text: &'static str| {
            let range = Range::parse(text).unwrap();
            (range.from, range.to, range.since_parted)
        };
        assert_eq!(read("main..HEAD"), ("main", Some("HEAD"), false));
        assert_eq!(read("main...topic"), ("main", Some("topic"), true));
        assert_eq!(read("main.."), ("main", Some("HEAD"), false));
        assert_eq!(read("v1.2"), ("v1.2", None, false));
        for wrong in ["..HEAD", "", "--all..x"] {
            assert!(Range::parse(wrong).is_err(), "{wrong}");
        }
    }
}
