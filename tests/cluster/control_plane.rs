//! The control plane does what the other tests rely on.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::Api;
use kube::api::{ListParams, ObjectMeta, PostParams};
use serde_json::json;

use crate::support::{Cluster, TestNamespace, eventually};

const TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn deployment_becomes_available() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("deployment").await;
    let deployments: Api<Deployment> = Api::namespaced(cluster.admin().await, &namespace);
    let deployment = json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}},
        },
    });
    deployments.create(&PostParams::default(), &serde_json::from_value(deployment).unwrap()).await.unwrap();
    eventually("two available replicas", TIMEOUT, || async {
        let status = deployments.get("web").await.unwrap().status.unwrap_or_default();
        if status.available_replicas == Some(2) { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
}

#[tokio::test]
async fn job_completes() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("job").await;
    let jobs: Api<Job> = Api::namespaced(cluster.admin().await, &namespace);
    let job = json!({
        "metadata": {"name": "migrate"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "migrate", "image": "migrate:1"}]}}},
    });
    jobs.create(&PostParams::default(), &serde_json::from_value(job).unwrap()).await.unwrap();
    eventually("the Job to complete", TIMEOUT, || async {
        let status = jobs.get("migrate").await.unwrap().status.unwrap_or_default();
        if status.succeeded == Some(1) { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
}

#[tokio::test]
async fn service_account_without_a_role_is_denied() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("rbac").await;
    let kubeconfig = service_account(&cluster, &namespace, "nobody").await;
    let config_maps: Api<ConfigMap> = Api::namespaced(cluster.client(&kubeconfig).await, &namespace);
    let denied = config_maps.list(&ListParams::default()).await.unwrap_err();
    let kube::Error::Api(status) = denied else { panic!("not an answer of the API server: {denied}") };
    assert_eq!(status.code, 403);
    let user = format!("system:serviceaccount:{}:nobody", namespace.name());
    assert!(status.message.contains(&user), "{}", status.message);
}

#[tokio::test]
async fn audit_counts_the_requests_of_one_user() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("audit").await;
    let kubeconfig = service_account(&cluster, &namespace, "reader").await;
    let config_maps: Api<ConfigMap> = Api::namespaced(cluster.client(&kubeconfig).await, &namespace);
    let user = format!("system:serviceaccount:{}:reader", namespace.name());
    let audit = cluster.audit();

    config_maps.get("before").await.unwrap_err();
    let mark = audit.mark().await;
    config_maps.get("settings").await.unwrap_err();
    config_maps.list(&ListParams::default()).await.unwrap_err();

    let entries = audit.of_user_since(&user, mark).await;
    let seen: Vec<_> = entries.iter().map(|entry| (entry.verb.as_str(), entry.name.as_str(), entry.code)).collect();
    assert_eq!(seen, [("get", "settings", 403), ("list", "", 403)]);
    assert!(entries.iter().all(|entry| entry.resource == "configmaps" && entry.namespace == namespace.name()));
    assert_eq!(audit.of_user_since(&user, audit.mark().await).await, []);
}

#[tokio::test]
async fn namespace_has_its_service_account_and_goes_away() {
    let cluster = Cluster::shared().await;
    let admin = cluster.admin().await;
    let namespace = cluster.namespace("gone").await;
    let name = namespace.name().to_owned();
    let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), &name);
    accounts.get("default").await.unwrap();

    drop(namespace);
    let namespaces: Api<Namespace> = Api::all(admin);
    eventually("the namespace to go away", TIMEOUT, || async {
        match namespaces.get_opt(&name).await {
            Ok(None) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// Makes a ServiceAccount without any right and returns its kubeconfig.
async fn service_account(cluster: &Cluster, namespace: &TestNamespace, name: &str) -> std::path::PathBuf {
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.admin().await, namespace);
    let account =
        ServiceAccount { metadata: ObjectMeta { name: Some(name.to_owned()), ..Default::default() }, ..Default::default() };
    accounts.create(&PostParams::default(), &account).await.unwrap();
    cluster.kubeconfig_for_service_account(namespace, name).await
}
