//! What a remote that is down, a cache that is deleted and a registry that is cleaned up cost the others.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;

use super::testing::{Behaviour, GitHttp, GitRepo, head, repositories};
use super::*;

/// Accepts connections, counts them, and says nothing.
fn silent_server() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a.git", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = connections.clone();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming().flatten() {
            counter.fetch_add(1, Ordering::Relaxed);
            open.push(stream);
        }
    });
    (url, connections)
}

fn small_repo() -> GitRepo {
    let repo = GitRepo::new();
    repo.write("app/one.yaml", "a: 1\n").commit("first");
    repo
}

fn quick(cache: &std::path::Path) -> Options {
    Options { timeout: Duration::from_millis(400), ..Options::new(cache.to_owned()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_applications_ask_a_dead_repository_once_and_hear_the_same() {
    let cache = tempfile::tempdir().unwrap();
    let (url, connections) = silent_server();
    let repositories = Repositories::new(quick(cache.path()));
    let mut texts = BTreeSet::new();
    for _ in 0..5 {
        let asked = (0..20).map(|_| repositories.resolve(&url, "main", Freshness::Polled));
        texts.extend(join_all(asked).await.into_iter().map(|answer| answer.unwrap_err().to_string()));
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    assert_eq!(texts.len(), 1, "{texts:?}");
    // The poll asks again after 3.75 s to 5 s.
    tokio::time::timeout(Duration::from_secs(10), async {
        while repositories.listings() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    // Nobody waits for that request, which hangs as the first one did.
    let began = std::time::Instant::now();
    let error = repositories.resolve(&url, "main", Freshness::Polled).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
    texts.insert(error.to_string());
    assert_eq!(texts.len(), 1, "{texts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_cannot_be_fetched_is_not_asked_for_in_every_reconcile() {
    let cache = tempfile::tempdir().unwrap();
    let (url, connections) = silent_server();
    let repositories = Repositories::new(quick(cache.path()));
    let commit = Commit::parse(&"a".repeat(40)).unwrap();
    let mut texts = BTreeSet::new();
    for _ in 0..3 {
        let asked = (0..20).map(|_| repositories.tree(&url, &commit));
        texts.extend(join_all(asked).await.into_iter().map(|answer| answer.unwrap_err().to_string()));
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    assert_eq!(texts.len(), 1, "{texts:?}");
    // Whoever wants an answer as of now gets one.
    repositories.resolve(&url, commit.as_str(), Freshness::Now).await.unwrap();
    repositories.tree(&url, &commit).await.unwrap_err();
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_does_not_exist_keeps_nobody_from_the_others() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), small_repo());
    let server = GitHttp::new(repo.folder.path(), None);
    let url = format!("http://{}/.git", server.address);
    let repositories = repositories(cache.path());
    let missing = Commit::parse(&"a".repeat(40)).unwrap();
    for _ in 0..5 {
        let error = repositories.tree(&url, &missing).await.unwrap_err();
        assert!(matches!(error, SourceError::NoSuchRevision { .. }), "{error}");
    }
    let fetches = server.count(|request| request.body_contains("command=fetch"));
    assert_eq!(fetches, 1);
    let commit = repositories.resolve(&url, "main", Freshness::Polled).await.unwrap();
    repositories.tree(&url, &commit).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_hears_when_a_repository_stays_away_and_when_it_is_back() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), small_repo());
    let away = repo.folder.path().with_extension("away");
    let options = Options { poll_interval: Duration::from_millis(100), jitter: Duration::ZERO, ..quick(cache.path()) };
    let repositories = Repositories::new(Options { timeout: Duration::from_secs(20), ..options });
    head(&repositories, &repo).await;
    let mut changes = repositories.subscribe();
    std::fs::rename(repo.folder.path(), &away).unwrap();
    let hear = async |changes: &mut tokio::sync::broadcast::Receiver<String>| {
        tokio::time::timeout(Duration::from_secs(30), changes.recv()).await.unwrap().unwrap()
    };
    hear(&mut changes).await;
    repositories.resolve(&repo.url(), "main", Freshness::Polled).await.unwrap_err();
    std::fs::rename(&away, repo.folder.path()).unwrap();
    repositories.resolve(&repo.url(), "main", Freshness::Now).await.unwrap();
    hear(&mut changes).await;
    repositories.resolve(&repo.url(), "main", Freshness::Polled).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_of_zero_never_polls() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), small_repo());
    let options = Options { poll_interval: Duration::ZERO, jitter: Duration::ZERO, ..Options::new(cache.path().to_owned()) };
    let repositories = Repositories::new(options);
    for _ in 0..10 {
        repositories.resolve(&repo.url(), "main", Freshness::Polled).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(repositories.listings(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_that_git_forbids_harms_only_who_asks_for_it() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), small_repo());
    let repositories = repositories(cache.path());
    for revision in ["refs/a..b", "refs/a.lock", "refs/@{x}", "refs//x", "refs/pull/\\x", "refs/x/*", "refs/a b"] {
        let error = repositories.resolve(&repo.url(), revision, Freshness::Now).await.unwrap_err();
        assert!(matches!(error, SourceError::NoSuchRevision { .. } | SourceError::NoMatchingTag { .. }), "{revision}: {error}");
        repositories.resolve(&repo.url(), "main", Freshness::Now).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_deleted_while_a_tree_is_open_is_not_noticed() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), small_repo());
    let repositories = repositories(cache.path());
    let first = head(&repositories, &repo).await;
    repo.write("app/one.yaml", "a: 2\n").commit("second");
    let second = head(&repositories, &repo).await;
    for entry in std::fs::read_dir(cache.path()).unwrap() {
        std::fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    // The second comes back into a new mirror, which does not have the first.
    for commit in [second.commit(), first.commit()] {
        let tree = repositories.tree(&repo.url(), commit).await.unwrap();
        for entry in tree.list("", true).unwrap() {
            tree.read(&entry).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cleans_up_does_not_take_away_what_was_just_used() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), small_repo());
    let server = GitHttp::with(repo.folder.path(), Behaviour::default());
    let url = format!("http://{}/.git", server.address);
    let repositories = repositories(cache.path());
    let commit = repositories.resolve(&url, "main", Freshness::Polled).await.unwrap();
    // The list of users is older than the application.
    repositories.retain(&BTreeSet::new());
    repositories.tree(&url, &commit).await.unwrap();
    repositories.retain(&BTreeSet::from([url.clone()]));
    assert_eq!(repositories.listings(), 1, "it is still the same repository");
    // Dropped and wanted again at once: the new mirror is not deleted with the old one.
    repositories.retain(&BTreeSet::new());
    assert_eq!(repositories.listings(), 0);
    let commit = repositories.resolve(&url, "main", Freshness::Polled).await.unwrap();
    let tree = repositories.tree(&url, &commit).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(tree.is_readable());
}
