//! The Git server of the tests serves, counts, refuses and goes away.

use std::fs;

use crate::support::GitServer;
use crate::support::git::{command, git};

#[test]
fn serves_clones_and_counts_them() {
    let server = GitServer::start();
    let repo = server.repo("shop");
    let first = repo.write("base/app.yaml", "kind: ConfigMap\n").commit("first");
    let target = tempfile::tempdir().unwrap();
    git(target.path(), &["clone", "--quiet", repo.url(), "."]);
    assert_eq!(git(target.path(), &["rev-parse", "HEAD"]), first);
    assert_eq!(fs::read_to_string(target.path().join("base/app.yaml")).unwrap(), "kind: ConfigMap\n");
    assert_eq!((server.ls_refs("shop"), server.fetches("shop")), (1, 1));

    git(target.path(), &["ls-remote", "--quiet"]);
    assert_eq!((server.ls_refs("shop"), server.fetches("shop")), (2, 1), "{:?}", server.requests());

    let second = repo.write("base/app.yaml", "kind: Secret\n").commit("second");
    git(target.path(), &["pull", "--quiet"]);
    assert_eq!(git(target.path(), &["rev-parse", "HEAD"]), second);
    assert_eq!((server.ls_refs("shop"), server.fetches("shop")), (3, 2), "{:?}", server.requests());
    assert_eq!(server.ls_refs("other"), 0);
}

#[test]
fn refuses_strangers() {
    let server = GitServer::start_private("reader", "swordfish");
    let repo = server.repo("private");
    repo.write("a", "1").commit("first");
    let target = tempfile::tempdir().unwrap();
    let refused = command(target.path()).args(["ls-remote", repo.url()]).output().unwrap();
    assert!(!refused.status.success());
    let with_password = repo.url().replace("http://", "http://reader:swordfish@");
    assert!(git(target.path(), &["ls-remote", &with_password]).contains("refs/heads/main"));
    assert_eq!(server.requests().iter().filter(|request| request.code == 401).count(), 2, "{:?}", server.requests());
}

#[test]
fn goes_away_and_comes_back_on_the_same_port() {
    let mut server = GitServer::start();
    let repo = server.repo("shop");
    repo.write("a", "1").commit("first");
    let target = tempfile::tempdir().unwrap();
    server.stop();
    let refused = command(target.path()).args(["ls-remote", repo.url()]).output().unwrap();
    assert!(!refused.status.success());
    server.resume();
    assert!(git(target.path(), &["ls-remote", repo.url()]).contains("refs/heads/main"));
}
