//! Answers the questions of generators on this machine: repositories from folders or by fetching, nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::advice::one_line;
use crate::appset::{Answer, Request, Tree};
use crate::source::{self, Commit, EntryKind, Followed, Freshness, Repositories, SourceError, same_repository};

/// Where repositories are read from.
pub struct Answers {
    /// Folders by URL; the folder of the empty URL serves every other one.
    folders: BTreeMap<String, PathBuf>,
    repositories: Repositories,
    /// Holds the mirrors while the command runs.
    _cache: tempfile::TempDir,
}

impl Answers {
    /// Reads `URL=FOLDER` and `FOLDER`.
    ///
    /// # Errors
    /// A folder that does not exist; there is no room for mirrors.
    pub fn new(repos: &[String]) -> Result<Self, String> {
        let mut folders = BTreeMap::new();
        for repo in repos {
            // A URL may hold `=` and a path may too: the last one with a folder behind it counts.
            let (url, folder) = repo.rsplit_once('=').filter(|(_, folder)| Path::new(folder).is_dir()).unwrap_or(("", repo));
            if !Path::new(folder).is_dir() {
                return Err(format!("--repo {repo}: {folder} is no folder"));
            }
            folders.insert(url.to_owned(), PathBuf::from(folder));
        }
        let cache = tempfile::tempdir().map_err(|error| format!("cannot make a folder for mirrors: {error}"))?;
        let repositories = Repositories::new(source::Options::new(cache.path().to_owned()));
        Ok(Self { folders, repositories, _cache: cache })
    }

    fn folder(&self, url: &str) -> Option<&Path> {
        let own = self.folders.iter().find(|(known, _)| !known.is_empty() && same_repository(known, url));
        own.map(|(_, folder)| folder).or_else(|| self.folders.get("")).map(PathBuf::as_path)
    }

    /// Answers one question.
    ///
    /// # Errors
    /// What cannot be answered here.
    pub async fn answer(&self, request: &Request) -> Result<Answer, String> {
        match request {
            Request::GitTree { repo, revision, .. } => match self.folder(repo) {
                Some(folder) => Ok(Answer::Tree(Tree { commit: "folder".into(), files: files(folder)? })),
                None => self.fetch(repo, revision).await.map_err(|error| one_line(&error, &error)),
            },
            Request::GitFile { repo, commit, path, .. } => match self.folder(repo) {
                Some(folder) => {
                    std::fs::read_to_string(folder.join(path)).map(Answer::File).map_err(|error| format!("{path}: {error}"))
                }
                None => self.read(repo, commit, path).await,
            },
            Request::Repositories(_) | Request::Branches(..) | Request::PathExists(..) => Err(unanswered("scmProvider")),
            Request::PullRequests(_) => Err(unanswered("pullRequest")),
            Request::Plugin { .. } => Err(unanswered("plugin")),
            Request::Decisions(_) => Err(unanswered("clusterDecisionResource")),
        }
    }

    async fn fetch(&self, repo: &str, revision: &str) -> Result<Answer, SourceError> {
        let commit = self.repositories.resolve(repo, revision, Freshness::Now).await?;
        let tree = self.repositories.tree(repo, &commit).await?;
        let files = tree.list("", true)?.into_iter().filter(|entry| entry.kind != EntryKind::Submodule);
        Ok(Answer::Tree(Tree { commit: commit.as_str().to_owned(), files: files.map(|entry| entry.path).collect() }))
    }

    async fn read(&self, repo: &str, commit: &str, path: &str) -> Result<Answer, String> {
        let failed = |error: SourceError| one_line(&error, &error);
        let commit = Commit::parse(commit).ok_or("the commit cannot be read")?;
        let tree = self.repositories.tree(repo, &commit).await.map_err(failed)?;
        let entry = tree.entry(path).map_err(failed)?.ok_or_else(|| format!("{path} does not exist"))?;
        let Followed::To(entry) = tree.follow(&entry).map_err(failed)? else {
            return Err(format!("{path} is a link to nothing"));
        };
        String::from_utf8(tree.read(&entry).map_err(failed)?).map(Answer::File).map_err(|_| format!("{path} is no text"))
    }
}

fn unanswered(generator: &str) -> String {
    format!("the {generator} generator needs the controller: its services are not asked from here")
}

/// All files of a folder as Git would name them, without Git's own.
fn files(folder: &Path) -> Result<Vec<String>, String> {
    let (mut pending, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(next) = pending.pop() {
        let entries = std::fs::read_dir(&next).map_err(|error| format!("{}: {error}", next.display()))?;
        for entry in entries {
            let entry = entry.map_err(|error| format!("{}: {error}", next.display()))?;
            let kind = entry.file_type().map_err(|error| format!("{}: {error}", entry.path().display()))?;
            if kind.is_dir() && entry.file_name() != ".git" {
                pending.push(entry.path());
            } else if !kind.is_dir()
                && let Ok(path) = entry.path().strip_prefix(folder)
            {
                found.push(path.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    Ok(found)
}
