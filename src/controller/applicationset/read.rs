//! Reads what generators ask for, until they ask no more.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use serde_json::Value as Json;

use super::Context;
use super::scm::Providers;
use super::{decisions, plugin};
use crate::advice::one_line;
use crate::api::ApplicationSet;
use crate::appset::{self, Answer, GenerateError, Generation, Inputs, Request, Tree};
use crate::source::{Commit, EntryKind, Followed, Freshness, SourceError};
use crate::world::ThisMachine;

/// Questions that are asked side by side.
const SIDE_BY_SIDE: usize = 8;
/// Rounds of questions: a generator asks a few times, once more for each filter, and they are nested three deep at most.
const MAX_ROUNDS: usize = 64;
/// Longest time that one question may take.
const TIME_LIMIT: Duration = Duration::from_secs(120);
/// Largest file that is read for parameters.
const MAX_FILE: usize = 4 << 20;

/// The Applications of an ApplicationSet and what was read for them.
pub struct Read {
    /// The generated Applications.
    pub applications: Vec<Json>,
    /// Clusters, projects and answers.
    pub inputs: Inputs,
}

/// Generates, asking whatever the generators want to know.
///
/// # Errors
/// The first generator or rendering that fails; nothing may be changed then.
pub async fn read(set: &Arc<ApplicationSet>, cx: &Context) -> Result<Read, GenerateError> {
    let mut inputs = Inputs {
        clusters: cx.clusters.all(),
        projects: cx.projects.state().iter().filter_map(|project| project.metadata.name.clone()).collect(),
        new_file_globbing: cx.options.new_file_globbing,
        ..Inputs::default()
    };
    let pass = Pass { set, freshness: freshness(set, cx), repositories: Mutex::default(), providers: Providers::default(), cx };
    let outcome = pass.rounds(&mut inputs).await;
    cx.remember_repositories(set, pass.repositories.into_inner().unwrap_or_default());
    Ok(Read { applications: outcome?, inputs })
}

/// What the answers of one pass share.
struct Pass<'a> {
    set: &'a Arc<ApplicationSet>,
    freshness: Freshness,
    /// Repositories that were read.
    repositories: Mutex<BTreeSet<String>>,
    /// Providers that were logged in to.
    providers: Providers,
    cx: &'a Context,
}

impl Pass<'_> {
    async fn rounds(&self, inputs: &mut Inputs) -> Result<Vec<Json>, GenerateError> {
        for _ in 0..MAX_ROUNDS {
            match generate(self.set, inputs).await? {
                Generation::Applications(applications) => return Ok(applications),
                Generation::Needs(requests) => {
                    let answers = requests.into_iter().map(|request| async move {
                        let answer = tokio::time::timeout(TIME_LIMIT, self.answer(&request)).await;
                        let late = |_| Err(format!("no answer within {} s", TIME_LIMIT.as_secs()));
                        (request, answer.unwrap_or_else(late))
                    });
                    let answers: Vec<_> = futures::stream::iter(answers).buffer_unordered(SIDE_BY_SIDE).collect().await;
                    inputs.answers.extend(answers);
                }
            }
        }
        Err(GenerateError::Options("the generators ask for ever more: nest them less deeply".into()))
    }

    async fn answer(&self, request: &Request) -> Result<Answer, String> {
        let cx = self.cx;
        match request {
            Request::GitTree { repo, revision, .. } => {
                if let Ok(mut used) = self.repositories.lock() {
                    used.insert(repo.clone());
                }
                tree(repo, revision, self.freshness, cx).await.map_err(|error| one_line(&error, &error))
            }
            Request::GitFile { repo, commit, path } => file(repo, commit, path, cx).await,
            Request::Plugin { config_map, parameters } => plugin::ask(config_map, parameters, self.set.name(), cx).await,
            Request::Decisions(section) => decisions::read(section, cx).await,
            Request::Repositories(_) | Request::Branches(..) | Request::PathExists(..) | Request::PullRequests(_) => {
                self.providers.answer(request, self.set, cx).await
            }
        }
    }
}

/// Rendering a thousand Applications takes a while: not on the threads that serve everybody.
async fn generate(set: &Arc<ApplicationSet>, inputs: &mut Inputs) -> Result<Generation, GenerateError> {
    let (set, given) = (Arc::clone(set), std::mem::take(inputs));
    let work = tokio::task::spawn_blocking(move || (appset::generate(&set, &given, &mut ThisMachine), given));
    match work.await {
        Ok((generation, given)) => {
            *inputs = given;
            generation
        }
        Err(_) => Err(GenerateError::Options("generating was broken off: this is a bug of the controller".into())),
    }
}

/// The remote is asked when somebody wants that, or wants to be told sooner than the polls of repositories do.
fn freshness(set: &ApplicationSet, cx: &Context) -> Freshness {
    let asked = set.annotation(super::REFRESH).is_some();
    let sooner = appset::requeue_after(set, cx.options.requeue_after).is_some_and(|after| after < cx.poll_interval);
    if asked || sooner { Freshness::Now } else { Freshness::Polled }
}

async fn tree(repo: &str, revision: &str, freshness: Freshness, cx: &Context) -> Result<Answer, SourceError> {
    let commit = cx.repositories.resolve(repo, revision, freshness).await?;
    let tree = cx.repositories.tree(repo, &commit).await?;
    blocking(repo, move || {
        let files = tree.list("", true)?.into_iter().filter(|entry| entry.kind != EntryKind::Submodule);
        Ok(Answer::Tree(Tree { commit: commit.as_str().to_owned(), files: files.map(|entry| entry.path).collect() }))
    })
    .await
}

async fn file(repo: &str, commit: &str, path: &str, cx: &Context) -> Result<Answer, String> {
    let commit = Commit::parse(commit).ok_or("the commit cannot be read")?;
    let failed = |error: SourceError| one_line(&error, &error);
    let tree = cx.repositories.tree(repo, &commit).await.map_err(failed)?;
    let wanted = path.to_owned();
    let read = blocking(repo, move || {
        let Some(entry) = tree.entry(&wanted)? else { return Ok(None) };
        match tree.follow(&entry)? {
            Followed::To(entry) => tree.read(&entry).map(Some),
            Followed::Missing => Ok(None),
        }
    });
    let bytes = read.await.map_err(failed)?.ok_or_else(|| format!("{path} does not exist in {repo}"))?;
    if bytes.len() > MAX_FILE {
        return Err(format!("{path} is larger than {} MiB", MAX_FILE >> 20));
    }
    String::from_utf8(bytes).map(Answer::File).map_err(|_| format!("{path} is no text"))
}

/// Reading a tree waits for the disk.
async fn blocking<T: Send + 'static>(
    repo: &str,
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    let broken = |_| SourceError::CacheFailed { url: repo.to_owned(), problem: "reading it was broken off".into() };
    tokio::task::spawn_blocking(work).await.map_err(broken)?
}
