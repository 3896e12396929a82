//! Git over TLS. Which authorities are trusted is a matter of the environment, which a process can only be started with: each
//! test runs [`inside`] in a process of its own.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::testing::{Behaviour, GitHttp, GitRepo, repositories};
use super::{Freshness, Repositories, SourceError};
use crate::advice::one_line;

/// `someone:secret`
const LOGIN: &str = "Basic c29tZW9uZTpzZWNyZXQ=";
const URL: &str = "GITOPS_TEST_URL";
const RESULT: &str = "GITOPS_TEST_RESULT";

pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes the authority into a folder.
    fn write(&self, folder: &Path) -> std::path::PathBuf {
        let path = folder.join("authority.pem");
        std::fs::write(&path, self.issuer.pem()).unwrap();
        path
    }

    fn server(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key);
        Arc::new(config.unwrap())
    }

    pub(super) fn https(&self, repo: &GitRepo, behaviour: Behaviour) -> GitHttp {
        let tls = Some(self.server("127.0.0.1", |_| {}));
        GitHttp::with(repo.folder.path(), Behaviour { tls, ..behaviour })
    }
}

fn repo() -> GitRepo {
    let repo = GitRepo::new();
    repo.write("app/one.yaml", "a: 1\n").commit("first");
    repo
}

/// Reads a file of the branch `main` in another process. Gives the file, or the error as a condition shows it.
fn read(url: &str, environment: &[(&str, &Path)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let result = folder.path().join("result");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "source::https_tests::inside", "--nocapture"])
        .env_remove("SSL_CERT_FILE")
        .env_remove("SSL_CERT_DIR")
        .envs(environment.iter().copied())
        .env(URL, url)
        .env(RESULT, &result)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("secret"), "{said}");
    std::fs::read_to_string(&result).unwrap_or_else(|_| panic!("no result: {said}"))
}

/// What [`read`] starts; without its environment there is nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn inside() {
    let (Ok(url), Ok(result)) = (std::env::var(URL), std::env::var(RESULT)) else { return };
    let cache = tempfile::tempdir().unwrap();
    let answer = match read_here(&repositories(cache.path()), &url).await {
        Ok(text) => text,
        Err(error) => format!("{error:?}\n{}", one_line(&error, &error)),
    };
    std::fs::write(result, answer).unwrap();
}

async fn read_here(repositories: &Repositories, url: &str) -> Result<String, SourceError> {
    let commit = repositories.resolve(url, "main", Freshness::Now).await?;
    let tree = repositories.tree(url, &commit).await?;
    let file = tree.entry("app/one.yaml")?.ok_or_else(|| tree.missing("app/one.yaml"))?;
    Ok(String::from_utf8_lossy(&tree.read(&file)?).into_owned())
}

#[test]
fn an_authority_is_trusted_once_the_environment_names_it() {
    let (authority, other, repo, folder) = (Authority::new("one"), Authority::new("two"), repo(), tempfile::tempdir().unwrap());
    let server = authority.https(&repo, Behaviour::default());
    let url = format!("https://{}/.git", server.address);
    let file = authority.write(folder.path());
    assert_eq!(read(&url, &[("SSL_CERT_FILE", &file)]), "a: 1\n");
    let several = format!("/nowhere:{}", folder.path().display());
    assert_eq!(read(&url, &[("SSL_CERT_DIR", Path::new(&several))]), "a: 1\n");

    let foreign = tempfile::tempdir().unwrap();
    let error = read(&url, &[("SSL_CERT_FILE", &other.write(foreign.path()))]);
    assert!(error.starts_with("UntrustedCertificate"), "{error}");
    let told = format!("the TLS certificate of {} cannot be trusted: it is signed by an authority", server.address);
    assert!(error.contains(&told) && error.contains("SSL_CERT_DIR"), "{error}");
    assert_eq!(error, read(&url, &[("SSL_CERT_FILE", &foreign.path().join("authority.pem"))]), "the same text in every try");
    let namesake = Authority::new("one");
    let error = read(&url, &[("SSL_CERT_FILE", &namesake.write(foreign.path()))]);
    assert!(error.contains("not signed by the authority of that name"), "{error}");
    let error = read(&url, &[("SSL_CERT_FILE", Path::new("/nowhere/at/all.pem"))]);
    assert!(error.contains("knows no certificate authorities") && error.contains("SSL_CERT_DIR"), "{error}");
}

#[test]
fn a_certificate_of_another_name_or_time_is_refused_with_its_reason() {
    let (authority, repo, folder) = (Authority::new("one"), repo(), tempfile::tempdir().unwrap());
    let file = authority.write(folder.path());
    let read = |tls| {
        let server = GitHttp::with(repo.folder.path(), Behaviour { tls: Some(tls), ..Behaviour::default() });
        read(&format!("https://{}/.git", server.address), &[("SSL_CERT_FILE", &file)])
    };
    let error = read(authority.server("git.example", |_| {}));
    assert!(error.contains("git.example") && error.contains("use a host name in repoURL"), "{error}");
    let expired = authority.server("127.0.0.1", |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let error = read(expired);
    assert!(error.contains("it has expired (hint: renew the certificate"), "{error}");
}

#[test]
fn a_password_is_sent_and_a_wrong_one_is_denied_without_being_shown() {
    let (authority, repo, folder) = (Authority::new("one"), repo(), tempfile::tempdir().unwrap());
    let trusted = authority.write(folder.path());
    let server = authority.https(&repo, Behaviour { login: Some(LOGIN), ..Behaviour::default() });
    let read = |login: &str| read(&format!("https://{login}{}/.git", server.address), &[("SSL_CERT_FILE", &trusted)]);
    assert_eq!(read("someone:secret@"), "a: 1\n");
    for login in ["someone:wrongsecret@", "someone:wrong%2Fsecret@", ""] {
        let error = read(login);
        assert!(error.starts_with("AccessDenied") && error.contains("(hint: "), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn redirects_are_followed_and_credentials_stay_with_their_host() {
    let (authority, repo, folder) = (Authority::new("one"), repo(), tempfile::tempdir().unwrap());
    let trusted = authority.write(folder.path());
    let read = |url: &str| read(url, &[("SSL_CERT_FILE", &trusted)]);
    // A renamed repository.
    let renamed = Behaviour { login: Some(LOGIN), redirect: Some(("/old.git", "/.git".into())), ..Behaviour::default() };
    let server = authority.https(&repo, renamed);
    assert_eq!(read(&format!("https://someone:secret@{}/old.git", server.address)), "a: 1\n");
    // Another host.
    let target = authority.https(&repo, Behaviour::default());
    let to_target =
        || Behaviour { redirect: Some(("/old.git", format!("https://{}/.git", target.address))), ..Behaviour::default() };
    let server = authority.https(&repo, to_target());
    assert_eq!(read(&format!("https://someone:secret@{}/old.git", server.address)), "a: 1\n");
    assert!(server.count(|request| request.header("authorization") == LOGIN) > 0);
    assert_eq!(target.count(|request| !request.header("authorization").is_empty()), 0);
    // From http to https.
    let server = GitHttp::with(repo.folder.path(), to_target());
    assert_eq!(read(&format!("http://{}/old.git", server.address)), "a: 1\n");
    let error = read(&format!("http://someone:secret@{}/old.git", server.address));
    assert!(error.starts_with("RedirectRefused") && error.contains("set repoURL to the URL"), "{error}");
    assert!(!error.contains("secret"), "{error}");
    // Never from https to http.
    let plain = GitHttp::new(repo.folder.path(), None);
    let downgrade = Behaviour { redirect: Some(("/old.git", format!("http://{}/.git", plain.address))), ..Behaviour::default() };
    let server = authority.https(&repo, downgrade);
    let error = read(&format!("https://{}/old.git", server.address));
    assert!(error.starts_with("RedirectRefused") || error.starts_with("NotARepository"), "{error}");
    assert_eq!(plain.count(|_| true), 0);
}
