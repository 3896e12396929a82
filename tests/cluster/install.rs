//! The shipped manifests apply, and give the controller's ServiceAccount its rights and no more.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::Api;
use kube::api::PostParams;

use crate::support::Cluster;
use crate::support::install::{SERVICE_ACCOUNT, install};

#[tokio::test]
async fn shipped_rights_suffice_and_stop_there() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("install").await;
    install(&cluster, &namespace).await;
    // A second time, as an upgrade does.
    install(&cluster, &namespace).await;
    let client = cluster.client(&cluster.kubeconfig_for_service_account(&namespace, SERVICE_ACCOUNT).await).await;

    for (verb, group, resource, place) in [
        ("patch", "argoproj.io", "applications", namespace.name()),
        ("create", "", "configmaps", namespace.name()),
        ("watch", "bitnami.com", "sealedsecrets", ""),
        ("create", "", "secrets", "default"),
        ("patch", "apps", "deployments", "default"),
    ] {
        assert!(may(&client, verb, group, resource, place).await, "may not {verb} {group}/{resource} in {place:?}");
    }
    for (verb, group, resource, place) in [
        ("delete", "", "nodes", ""),
        ("impersonate", "", "users", ""),
        ("escalate", "rbac.authorization.k8s.io", "clusterroles", ""),
        ("bind", "rbac.authorization.k8s.io", "clusterroles", ""),
        ("create", "", "serviceaccounts/token", "default"),
        ("create", "", "pods/exec", "default"),
    ] {
        assert!(!may(&client, verb, group, resource, place).await, "may {verb} {group}/{resource} in {place:?}");
    }
}

async fn may(client: &kube::Client, verb: &str, group: &str, resource: &str, namespace: &str) -> bool {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let asked = ResourceAttributes {
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        namespace: Some(namespace.to_owned()),
        ..Default::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(asked), ..Default::default() };
    let review = SelfSubjectAccessReview { spec, ..Default::default() };
    reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
}
