#![expect(clippy::unwrap_used, reason = "tests")]

use super::testing::{GitHttp, GitRepo, HttpRequest, head, repositories};
use super::*;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

fn small_repo() -> GitRepo {
    let repo = GitRepo::new();
    repo.write("app/one.yaml", "a: 1\n").write("app/deep/two.yaml", "b: 2\n").write("other.txt", "x\n");
    repo.commit("first");
    repo
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_the_files_of_a_commit() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), small_repo());
    let tree = head(&repositories(cache.path()), &repo).await;
    let paths = |recurse| tree.list("app", recurse).unwrap().into_iter().map(|entry| entry.path).collect::<Vec<_>>();
    assert_eq!(paths(false), ["app/deep", "app/one.yaml"]);
    assert_eq!(paths(true), ["app/deep/two.yaml", "app/one.yaml"]);
    assert_eq!(tree.read(&tree.entry("./app//one.yaml").unwrap().unwrap()).unwrap(), b"a: 1\n");
    assert_eq!(tree.id_of("app").unwrap(), Some(repo.git(&["rev-parse", "HEAD:app"])));
    assert_eq!(tree.id_of("app/none").unwrap(), None);
    assert!(matches!(tree.list("nowhere", false), Err(SourceError::PathMissing { .. })));
    assert!(matches!(tree.entry("../x"), Err(SourceError::PathOutside { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn resolves_names_of_all_kinds() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), small_repo());
    let first = repo.git(&["rev-parse", "HEAD"]);
    repo.git(&["tag", "-a", "v1", "-m", "annotated"]);
    repo.git(&["update-ref", "refs/pull/7/head", "HEAD"]);
    repo.write("more.yaml", "c: 3\n").commit("second");
    let second = repo.git(&["rev-parse", "HEAD"]);
    let repositories = repositories(cache.path());
    let resolve = async |revision: &str| {
        repositories.resolve(&repo.url(), revision, Freshness::Polled).await.map(|commit| commit.as_str().to_owned())
    };
    assert_eq!(resolve("v1").await.unwrap(), first, "an annotated tag means the commit behind it");
    assert_eq!(resolve("main").await.unwrap(), second);
    assert_eq!(resolve("").await.unwrap(), second);
    assert_eq!(resolve(&second[..8]).await.unwrap(), second);
    assert_eq!(repositories.listings(), 1, "one listing answers them all");
    assert_eq!(resolve("refs/pull/7/head").await.unwrap(), first);
    assert_eq!(repositories.listings(), 2, "an unusual reference is asked for by name");
    assert!(matches!(resolve("nowhere").await, Err(SourceError::NoSuchRevision { .. })));
    assert!(matches!(resolve("1.2.*").await, Err(SourceError::NoMatchingTag { .. })));
    // The first commit is not at the tip of a branch; its files come all the same.
    let tree = repositories.tree(&repo.url(), &Commit::parse(&first).unwrap()).await.unwrap();
    assert_eq!(tree.id_of("more.yaml").unwrap(), None);
    assert_eq!(resolve(&first[..7]).await.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_askers_share_one_listing() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), small_repo());
    let repositories = repositories(cache.path());
    let url = repo.url();
    let asked = (0..20).map(|_| repositories.resolve(&url, "main", Freshness::Now));
    let answers = futures::future::join_all(asked).await;
    assert!(answers.iter().all(Result::is_ok));
    // The first begins alone; whoever came while it ran shares the second. A machine under load may be slow to ask for the rest.
    assert!(repositories.listings() < 10, "{} listings", repositories.listings());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_finds_new_commits_and_force_pushes() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), small_repo());
    let options =
        Options { poll_interval: Duration::from_millis(100), jitter: Duration::ZERO, ..Options::new(cache.path().to_owned()) };
    let repositories = Repositories::new(options);
    let first = head(&repositories, &repo).await;
    let mut changes = repositories.subscribe();
    repo.write("app/one.yaml", "a: 2\n");
    repo.git(&["add", "."]);
    repo.git(&["commit", "--quiet", "--amend", "-m", "rewritten"]);
    let changed = tokio::time::timeout(Duration::from_secs(10), changes.recv()).await.unwrap().unwrap();
    assert_eq!(changed, Address::parse(&repo.url()).unwrap().normalised());
    let commit = repositories.resolve(&repo.url(), "main", Freshness::Polled).await.unwrap();
    assert_ne!(&commit, first.commit());
    let tree = repositories.tree(&repo.url(), &commit).await.unwrap();
    assert_eq!(tree.read(&tree.entry("app/one.yaml").unwrap().unwrap()).unwrap(), b"a: 2\n");
    assert_eq!(first.read(&first.entry("app/one.yaml").unwrap().unwrap()).unwrap(), b"a: 1\n", "the old commit stays readable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_cache_is_fetched_again() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), small_repo());
    let repositories = repositories(cache.path());
    let tree = head(&repositories, &repo).await;
    for entry in std::fs::read_dir(cache.path()).unwrap() {
        std::fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    // The open tree may fail once, which has to be enough for the next one to work.
    let _ = tree.list("app", true);
    let again = repositories.tree(&repo.url(), tree.commit()).await.unwrap();
    for entry in again.list("", true).unwrap() {
        again.read(&entry).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_uses_the_mirror_on_disk() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), small_repo());
    let commit = head(&repositories(cache.path()), &repo).await.commit().clone();
    let url = repo.url();
    drop(repo);
    let tree = repositories(cache.path()).tree(&url, &commit).await.unwrap();
    assert!(tree.id_of("app").unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_without_users_lose_their_mirror() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), small_repo());
    let repositories = repositories(cache.path());
    head(&repositories, &repo).await;
    repositories.retain(&BTreeSet::from([repo.url()]));
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 1);
    // The second call without a use in between.
    repositories.retain(&BTreeSet::new());
    let gone = async {
        while std::fs::read_dir(cache.path()).unwrap().count() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_followed_inside_and_refused_outside() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), small_repo());
    repo.link("app/link.yaml", "deep/two.yaml")
        .link("app/broken.yaml", "none")
        .link("app/loop.yaml", "loop.yaml")
        .commit("links");
    let repositories = repositories(cache.path());
    let tree = head(&repositories, &repo).await;
    let follow = |path: &str| tree.follow(&tree.entry(path).unwrap().unwrap()).unwrap();
    assert!(matches!(follow("app/link.yaml"), Followed::To(entry) if entry.path == "app/deep/two.yaml"));
    assert_eq!(follow("app/broken.yaml"), Followed::Missing);
    assert_eq!(follow("app/loop.yaml"), Followed::Missing);
    tree.check_links().unwrap();
    repo.link("other.link", "../../etc/passwd").commit("outside");
    let tree = head(&repositories, &repo).await;
    assert!(matches!(tree.check_links(), Err(SourceError::SymlinkOutside { path, .. }) if path == "other.link"));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_written_with_their_modes() {
    use std::os::unix::fs::PermissionsExt;
    let (cache, repo) = (tempfile::tempdir().unwrap(), small_repo());
    repo.write("app/run.sh", "#!/bin/sh\n").link("app/link", "one.yaml");
    repo.git(&["add", "."]);
    repo.git(&["update-index", "--chmod=+x", "app/run.sh"]);
    repo.git(&["commit", "--quiet", "-m", "modes"]);
    let tree = head(&repositories(cache.path()), &repo).await;
    let folder = tempfile::tempdir().unwrap();
    tree.materialise(folder.path(), Some(&["app"])).unwrap();
    assert!(!folder.path().join("other.txt").exists());
    assert_eq!(std::fs::metadata(folder.path().join("app/run.sh")).unwrap().permissions().mode() & 0o111, 0o111);
    assert_eq!(std::fs::read_to_string(folder.path().join("app/link")).unwrap(), "a: 1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_happened() {
    let cache = tempfile::tempdir().unwrap();
    let repositories = repositories(cache.path());
    let resolve = async |url: &str| repositories.resolve(url, "main", Freshness::Now).await.unwrap_err();
    let nothing = tempfile::tempdir().unwrap();
    let error = resolve(&format!("file://{}", nothing.path().display())).await;
    assert!(matches!(error, SourceError::NotARepository { .. }), "{error}");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = resolve(&format!("http://someone:secret@{free}/a.git")).await;
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    let denied = http_server("401 Unauthorized");
    let error = resolve(&format!("http://someone:secret@{denied}/a.git")).await;
    assert!(matches!(error, SourceError::AccessDenied { .. }), "{error}");
    let missing = http_server("404 Not Found");
    let error = resolve(&format!("http://{missing}/a.git")).await;
    assert!(matches!(error, SourceError::NotARepository { .. }), "{error}");
    let broken = http_server("503 Service Unavailable");
    let error = resolve(&format!("http://{broken}/a.git")).await;
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_remote_is_given_up_and_not_asked_again_at_once() {
    let cache = tempfile::tempdir().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a.git", silent.local_addr().unwrap());
    let repositories =
        Repositories::new(Options { timeout: Duration::from_millis(300), ..Options::new(cache.path().to_owned()) });
    let error = repositories.resolve(&url, "main", Freshness::Polled).await.unwrap_err();
    assert!(matches!(error, SourceError::Timeout { .. } | SourceError::Unreachable { .. }), "{error}");
    assert_eq!(repositories.resolve(&url, "main", Freshness::Polled).await.unwrap_err(), error);
    assert_eq!(repositories.listings(), 1, "the backoff answers");
}

/// Answers every request with one status.
fn http_server(status: &'static str) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    address
}

fn is_listing(request: &HttpRequest) -> bool {
    request.body_contains("command=ls-refs") && !request.body_contains("ref-prefix refs/gitops/nothing")
}

fn is_fetch(request: &HttpRequest) -> bool {
    request.body_contains("command=fetch")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_listing_over_http_serves_many_applications_and_a_fetch_happens_once() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), small_repo());
    for number in 0..50 {
        repo.git(&["branch", &format!("branch-{number}")]);
    }
    let server = GitHttp::new(repo.folder.path(), None);
    let url = format!("http://{}/.git", server.address);
    let repositories = repositories(cache.path());
    for number in 0..50 {
        let commit = repositories.resolve(&url, &format!("branch-{number}"), Freshness::Polled).await.unwrap();
        repositories.tree(&url, &commit).await.unwrap().list("app", true).unwrap();
    }
    assert_eq!((server.count(is_listing), server.count(is_fetch)), (1, 1));

    repo.write("app/one.yaml", "a: 2\n").commit("second");
    let commit = repositories.resolve(&url, "main", Freshness::Now).await.unwrap();
    let tree = repositories.tree(&url, &commit).await.unwrap();
    assert_eq!(tree.read(&tree.entry("app/one.yaml").unwrap().unwrap()).unwrap(), b"a: 2\n");
    assert_eq!((server.count(is_listing), server.count(is_fetch)), (2, 2));
    assert!(server.count(|request| is_fetch(request) && request.body_contains("have ")) >= 1, "what is there is not sent again");
    let missing = "0123456789012345678901234567890123456789";
    let error = repositories.tree(&url, &Commit::parse(missing).unwrap()).await.unwrap_err();
    assert!(matches!(error, SourceError::NoSuchRevision { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_in_the_url_are_sent_and_not_shown() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), small_repo());
    // `someone:secret`
    let server = GitHttp::new(repo.folder.path(), Some("Basic c29tZW9uZTpzZWNyZXQ="));
    let repositories = repositories(cache.path());
    let url = format!("http://someone:secret@{}/.git", server.address);
    let commit = repositories.resolve(&url, "main", Freshness::Now).await.unwrap();
    let tree = repositories.tree(&url, &commit).await.unwrap();
    assert!(!format!("{tree:?} {repositories:?}").contains("secret"));
    let wrong = format!("http://someone:wrongsecret@{}/.git", server.address);
    let error = repositories.resolve(&wrong, "main", Freshness::Now).await.unwrap_err();
    assert!(matches!(error, SourceError::AccessDenied { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("wrongsecret"), "{error}");
    let anonymous = format!("http://{}/.git", server.address);
    assert!(matches!(repositories.resolve(&anonymous, "main", Freshness::Now).await, Err(SourceError::AccessDenied { .. })));
}
