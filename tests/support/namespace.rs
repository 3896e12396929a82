//! A namespace per test, so that tests share one control plane without meeting.

use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, PostParams};

use super::cluster::{Cluster, client};
use super::eventually::eventually;

/// How long deleting may hold up a test that is over.
const DELETE_TIMEOUT: Duration = Duration::from_secs(5);

/// A namespace that goes away with this value. It can be used where a name is wanted.
#[derive(Debug)]
pub struct TestNamespace {
    name: String,
    kubeconfig: PathBuf,
}

impl TestNamespace {
    /// Makes a namespace whose name starts with `hint`, and waits for its default ServiceAccount, without which no pod is admitted.
    pub(super) async fn create(cluster: &Cluster, hint: &str) -> Self {
        let name = format!("{hint}-{:06x}", rand::random_range(0..0x100_0000));
        let admin = cluster.admin().await;
        let namespaces: Api<Namespace> = Api::all(admin.clone());
        let namespace =
            Namespace { metadata: ObjectMeta { name: Some(name.clone()), ..Default::default() }, ..Default::default() };
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .unwrap_or_else(|cause| panic!("cannot create namespace {name}: {cause}"));
        let made = Self { name, kubeconfig: cluster.kubeconfig_path() };
        let accounts: Api<ServiceAccount> = Api::namespaced(admin, &made.name);
        let what = format!("the default ServiceAccount of {}", made.name);
        eventually(&what, Duration::from_secs(30), || accounts.get("default")).await;
        made
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Deref for TestNamespace {
    type Target = str;

    fn deref(&self) -> &str {
        &self.name
    }
}

impl Drop for TestNamespace {
    /// Deletes on a thread with a runtime of its own: the test's runtime may be the one that is unwinding.
    fn drop(&mut self) {
        let (name, kubeconfig) = (self.name.clone(), self.kubeconfig.clone());
        let delete = async move {
            let namespaces: Api<Namespace> = Api::all(client(&kubeconfig).await.ok()?);
            namespaces.delete(&name, &DeleteParams::background()).await.ok()
        };
        let _ = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            // Best effort: the control plane may be gone, and it forgets everything anyway.
            runtime.map(|runtime| runtime.block_on(async { tokio::time::timeout(DELETE_TIMEOUT, delete).await.ok() }))
        })
        .join();
    }
}
