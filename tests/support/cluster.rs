//! A running control plane as tests use it.

use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::audit::Audit;
use super::namespace::TestNamespace;
use super::plane::files;
use super::plane::record::Record;
use super::plane::runner::CLUSTER_VARIABLE;
use super::tools::repository;

/// Longer than any test run; the API server accepts ten minutes and more.
const TOKEN_SECONDS: i64 = 24 * 60 * 60;

/// A control plane that runs already.
#[derive(Debug, Clone)]
pub struct Cluster {
    record: Record,
}

impl Cluster {
    /// The plane that all tests of a run share: the one of `control-plane run`, else that of `make cluster`.
    ///
    /// # Panics
    /// When there is none.
    pub async fn shared() -> Self {
        let dir = std::env::var_os(CLUSTER_VARIABLE).map_or_else(|| repository().join(".cluster"), PathBuf::from);
        Self::at(&dir).unwrap_or_else(|| {
            panic!("no control plane runs in {}; hint: run `make test`, or `make cluster` first", dir.display())
        })
    }

    /// The plane in a folder; `None` unless it is ready.
    pub fn at(dir: &Path) -> Option<Self> {
        Record::read(dir).filter(Record::is_ready).map(|record| Self { record })
    }

    /// Makes a client for the administrator. It belongs to the current runtime: make one per test and clone it.
    pub async fn admin(&self) -> kube::Client {
        self.client(&self.kubeconfig_path()).await
    }

    /// Makes a client for any kubeconfig.
    pub async fn client(&self, kubeconfig: &Path) -> kube::Client {
        client(kubeconfig).await.unwrap_or_else(|cause| panic!("{cause}"))
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.record.layout.kubeconfig()
    }

    /// The plane's folder.
    pub fn dir(&self) -> &Path {
        &self.record.layout.dir
    }

    /// Makes a namespace with a name of its own; it is deleted at the end of the test.
    pub async fn namespace(&self, hint: &str) -> TestNamespace {
        TestNamespace::create(self, hint).await
    }

    /// The requests the API server has answered.
    pub fn audit(&self) -> Audit {
        Audit::of(self.clone())
    }

    /// The path of the audit log.
    pub fn audit_log(&self) -> PathBuf {
        self.record.layout.audit_log()
    }

    /// Writes a kubeconfig with a fresh token of a ServiceAccount, as a program would hold that runs in its pod.
    ///
    /// # Panics
    /// When the ServiceAccount does not exist.
    pub async fn kubeconfig_for_service_account(&self, namespace: &str, name: &str) -> PathBuf {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin().await, namespace);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..Default::default() }),
            ..Default::default()
        };
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .unwrap_or_else(|cause| panic!("no token for ServiceAccount {namespace}/{name}: {cause}"));
        let token = answer.status.and_then(|status| status.token).expect("a created token request carries the token");
        let text = files::kubeconfig(&self.server(), &self.authority(), name, &token);
        let path = self.record.layout.file(&format!("{namespace}-{name}.kubeconfig"));
        std::fs::write(&path, text).expect("the plane's folder is writable");
        path
    }

    /// The API server's URL.
    pub fn server(&self) -> String {
        let config = Kubeconfig::read_from(self.kubeconfig_path()).expect("the plane's kubeconfig is readable");
        let server = config.clusters.into_iter().find_map(|entry| entry.cluster?.server);
        server.expect("the plane's kubeconfig has one cluster")
    }

    /// The PEM of the authority that signed the API server's certificate.
    pub fn authority(&self) -> String {
        std::fs::read_to_string(self.record.layout.pki("ca.crt")).expect("the authority's certificate is readable")
    }
}

/// Makes a client from a kubeconfig file alone: no environment, no in-cluster configuration.
///
/// # Errors
/// When the file is not there or not usable.
pub async fn client(kubeconfig: &Path) -> Result<kube::Client, String> {
    let problem = |cause: &dyn std::error::Error| format!("no client from {}: {cause}", kubeconfig.display());
    let file = Kubeconfig::read_from(kubeconfig).map_err(|cause| problem(&cause))?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    kube::Client::try_from(config.map_err(|cause| problem(&cause))?).map_err(|cause| problem(&cause))
}
