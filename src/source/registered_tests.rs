//! Repositories that are reached as their Secrets say, over real HTTP and TLS.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use super::credentials::{Catalogue, Trust};
use super::https_tests::Authority;
use super::testing::{Behaviour, GitHttp, GitRepo, repositories};
use super::{Freshness, Repositories, SourceError};
use crate::advice::one_line;

/// `reader:marker-right`
const LOGIN: &str = "Basic cmVhZGVyOm1hcmtlci1yaWdodA==";

fn secret(name: &str, fields: &[(&str, &str)]) -> Secret {
    let labels = json!({ "argocd.argoproj.io/secret-type": "repository" });
    let mut secret: Secret = serde_json::from_value(json!({ "metadata": { "name": name, "labels": labels } })).unwrap();
    secret.data =
        Some(fields.iter().map(|(field, value)| ((*field).to_owned(), ByteString(value.as_bytes().to_vec()))).collect());
    secret
}

fn trusting(host: &str, pem: &str) -> Trust {
    Trust::new(&BTreeMap::from([(host.to_owned(), pem.to_owned())]), &BTreeMap::new())
}

fn repo() -> GitRepo {
    let repo = GitRepo::new();
    repo.write("app/one.yaml", "a: 1\n").commit("first");
    repo
}

async fn read(repositories: &Repositories, url: &str) -> Result<String, SourceError> {
    let commit = repositories.resolve(url, "main", Freshness::Polled).await?;
    let tree = repositories.tree(url, &commit).await?;
    Ok(String::from_utf8(tree.read(&tree.entry("app/one.yaml")?.unwrap())?).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_over_http_and_a_token_over_tls() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), repo());
    let server = GitHttp::new(repo.folder.path(), Some(LOGIN));
    let url = format!("http://{}/.git", server.address);
    let repositories = repositories(cache.path());
    let register = |password: &str| {
        let secret = secret("shop", &[("url", &url), ("username", "reader"), ("password", password)]);
        repositories.register(Catalogue::new([&secret], Trust::default()));
    };
    register("marker-wrong");
    let error = read(&repositories, &url).await.unwrap_err();
    let text = format!("{error:?} {}", one_line(&error, &error));
    assert!(matches!(error, SourceError::AccessDenied { .. }) && text.contains("Secret `shop`"), "{text}");
    assert!(!text.contains("marker"), "{text}");
    register("marker-right");
    assert_eq!(read(&repositories, &url).await.unwrap(), "a: 1\n");
    let (listings, mirrors) = (repositories.listings(), std::fs::read_dir(cache.path()).unwrap().count());
    register("marker-right");
    assert_eq!(read(&repositories, &url).await.unwrap(), "a: 1\n");
    assert_eq!(repositories.listings(), listings, "nothing changed");
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), mirrors);

    let authority = Authority::new("one");
    let server = authority.https(&repo, Behaviour { login: Some("Bearer marker-token"), ..Behaviour::default() });
    let url = format!("https://{}/.git", server.address);
    let secret = secret("token", &[("url", &url), ("bearerToken", "marker-token")]);
    repositories.register(Catalogue::new([&secret], trusting("127.0.0.1", &authority.pem())));
    assert_eq!(read(&repositories, &url).await.unwrap(), "a: 1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_trusted_once_the_config_map_names_it() {
    let (cache, repo, authority) = (tempfile::tempdir().unwrap(), repo(), Authority::new("one"));
    let server = authority.https(&repo, Behaviour::default());
    let url = format!("https://{}/.git", server.address);
    let repositories = repositories(cache.path());
    repositories.register(Catalogue::new([], trusting("other.example", &authority.pem())));
    let error = read(&repositories, &url).await.unwrap_err();
    assert!(matches!(error, SourceError::UntrustedCertificate { .. }), "{error}");
    repositories.register(Catalogue::new([], trusting("127.0.0.1", "no certificate")));
    let error = read(&repositories, &url).await.unwrap_err();
    assert!(matches!(&error, SourceError::BadAccess { .. }) && error.to_string().contains("argocd-tls-certs-cm"), "{error}");
    repositories.register(Catalogue::new([], trusting("127.0.0.1", &authority.pem())));
    assert_eq!(read(&repositories, &url).await.unwrap(), "a: 1\n");
    let insecure = secret("insecure", &[("url", &url), ("insecure", "true")]);
    repositories.register(Catalogue::new([&insecure], Trust::default()));
    assert_eq!(read(&repositories, &url).await.unwrap(), "a: 1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_gone_through_unless_the_host_is_excepted() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), repo());
    let proxy = GitHttp::new(repo.folder.path(), None);
    let url = "http://git.invalid/shop.git";
    let repositories = repositories(cache.path());
    let asked = || proxy.count(|request| request.target.starts_with(url));
    let register = |no_proxy: &str| {
        let address = format!("http://{}", proxy.address);
        let secret = secret("shop", &[("url", url), ("proxy", &address), ("noProxy", no_proxy)]);
        repositories.register(Catalogue::new([&secret], Trust::default()));
    };
    register("git.invalid,other.example");
    assert!(matches!(read(&repositories, url).await, Err(SourceError::Unreachable { .. })));
    assert_eq!(asked(), 0);
    register("other.example");
    // The server is no proxy and does not know what to do with it, but it was asked.
    assert!(read(&repositories, url).await.is_err());
    assert!(asked() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_without_commits_says_so() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), GitRepo::new());
    let repositories = repositories(cache.path());
    for revision in ["HEAD", "main", "1.*"] {
        let error = repositories.resolve(&repo.url(), revision, Freshness::Now).await.unwrap_err();
        assert!(matches!(error, SourceError::NoCommits { .. }), "{revision}: {error}");
    }
    let commit = repo.write("a", "1").commit("first");
    assert_eq!(repositories.resolve(&repo.url(), "HEAD", Freshness::Now).await.unwrap(), commit);
}

#[tokio::test(flavor = "multi_thread")]
async fn constraints_and_prefixes_choose_tags() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), GitRepo::new());
    let mut commits = BTreeMap::new();
    for tag in ["web/1.0.0", "1.2.0", "v1.3.0", "2.0.0-rc.1"] {
        commits.insert(tag, repo.write("a", tag).commit(tag));
        repo.git(&["tag", "-a", tag, "-m", "annotated"]);
    }
    let repositories = repositories(cache.path());
    let all = repositories.of_project("default");
    let url = repo.url();
    assert_eq!(all.resolve(&url, "1.*", Freshness::Polled).await.unwrap(), commits["v1.3.0"]);
    assert_eq!(all.resolve(&url, ">=2.0.0-0", Freshness::Polled).await.unwrap(), commits["2.0.0-rc.1"]);
    assert_eq!(all.with_tag_prefix("web/").resolve(&url, "1.*", Freshness::Polled).await.unwrap(), commits["web/1.0.0"]);
    let error = all.resolve(&url, "^3", Freshness::Polled).await.unwrap_err();
    assert!(matches!(error, SourceError::NoMatchingTag { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_that_wait_are_one_listing() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), repo());
    let repositories = repositories(cache.path());
    repositories.poll_now(|_| true).await;
    assert_eq!(repositories.listings(), 0, "nobody uses any");
    read(&repositories, &repo.url()).await.unwrap();
    let commit = repo.write("app/one.yaml", "a: 2\n").commit("second");
    futures::future::join_all((0..20).map(|_| repositories.poll_now(|_| true))).await;
    assert!(repositories.listings() <= 3, "{} listings", repositories.listings());
    assert_eq!(repositories.resolve(&repo.url(), "main", Freshness::Polled).await.unwrap(), commit);
}

/// Names a repository as a submodule, without fetching it.
fn name_submodule(outer: &GitRepo, inner: &GitRepo, path: &str, url: &str) {
    let commit = inner.git(&["rev-parse", "HEAD"]);
    let mut file = std::fs::read_to_string(outer.folder.path().join(".gitmodules")).unwrap_or_default();
    file.push_str(&format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n"));
    outer.write(".gitmodules", &file);
    std::fs::create_dir_all(outer.folder.path().join(path)).unwrap();
    outer.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},{path}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submodule_is_reached_with_the_outer_login_on_the_outer_host_only() {
    let (cache, root, outer, inner) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), repo(), repo());
    for (name, repo) in [("outer", &outer), ("inner", &inner)] {
        std::os::unix::fs::symlink(repo.folder.path().join(".git"), root.path().join(name)).unwrap();
    }
    let (own, stranger) = (GitHttp::new(root.path(), Some(LOGIN)), GitHttp::new(root.path(), None));
    name_submodule(&outer, &inner, "near", "../inner");
    // The same machine under another name.
    name_submodule(&outer, &inner, "far", &format!("http://localhost:{}/inner", stranger.address.port()));
    let commit = outer.commit("submodules");
    let url = format!("http://{}/outer", own.address);
    let secret = secret("shop", &[("url", &url), ("username", "reader"), ("password", "marker-right")]);
    let repositories = repositories(cache.path());
    repositories.register(Catalogue::new([&secret], Trust::default()));
    let tree = repositories.tree(&url, &commit).await.unwrap();
    for path in ["near/app/one.yaml", "far/app/one.yaml"] {
        assert_eq!(tree.read(&tree.entry(path).unwrap().unwrap()).unwrap(), b"a: 1\n", "{path}");
    }
    assert!(stranger.count(|_| true) > 0);
    assert_eq!(stranger.count(|request| !request.header("authorization").is_empty()), 0, "no login for a stranger");
}
