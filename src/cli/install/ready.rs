//! Waiting until an installation works: definitions served, pod ready, certificate published. Nothing is polled.

use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams};
use kube::runtime::conditions;
use kube::runtime::wait::await_condition;
use tokio::time::{Instant, timeout_at};

use crate::cli::version::CONTROLLER;
use crate::cli::{Context, Exit, Failure};
use crate::keys::{CERTIFICATE_MAP, CERTIFICATE_PEM, FINGERPRINT};
use crate::resource::Object;

/// Waits for everything; gives back the fingerprint of the sealing certificate.
pub async fn wait(cx: &Context, objects: &[Object], namespace: &str, limit: Duration) -> Result<String, Failure> {
    let deadline = Instant::now() + limit;
    let client = cx.streaming_client().await?;
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    for object in objects.iter().filter(|object| object.kind() == "CustomResourceDefinition") {
        let served = await_condition(definitions.clone(), object.name(), conditions::is_crd_established());
        before(deadline, served).await.ok_or_else(|| late(limit, &format!("{} is not served", object.name()), None))?;
    }
    let deployments = Api::<Deployment>::namespaced(client.clone(), namespace);
    if before(deadline, await_condition(deployments, CONTROLLER, |live: Option<&Deployment>| live.is_some_and(is_ready)))
        .await
        .is_none()
    {
        let reason = reason(&client, namespace).await;
        let what = format!("deployment {namespace}/{CONTROLLER} is not ready{reason}");
        return Err(late(
            limit,
            &what,
            Some(format!("kubectl -n {namespace} describe pods -l app.kubernetes.io/name={CONTROLLER}")),
        ));
    }
    let maps = Api::<ConfigMap>::namespaced(client, namespace);
    let published = |live: Option<&ConfigMap>| live.is_some_and(|live| value(live, CERTIFICATE_PEM).is_some());
    match before(deadline, await_condition(maps, CERTIFICATE_MAP, published)).await.flatten() {
        Some(map) => Ok(value(&map, FINGERPRINT).unwrap_or_default()),
        None => Err(late(
            limit,
            &format!("the controller has not published a sealing certificate in {namespace:?}"),
            Some(format!("kubectl -n {namespace} logs deployment/{CONTROLLER}")),
        )),
    }
}

async fn before<T, E>(deadline: Instant, future: impl Future<Output = Result<T, E>>) -> Option<T> {
    timeout_at(deadline, future).await.ok()?.ok()
}

fn value(map: &ConfigMap, key: &str) -> Option<String> {
    map.data.as_ref()?.get(key).cloned()
}

/// The rollout of the newest generation is complete.
fn is_ready(deployment: &Deployment) -> bool {
    let Some(status) = &deployment.status else { return false };
    let wanted = deployment.spec.replicas.unwrap_or(1);
    status.observed_generation >= deployment.metadata.generation
        && status.updated_replicas.unwrap_or(0) >= wanted
        && status.available_replicas.unwrap_or(0) >= wanted
}

/// Why a pod does not come up, in the words of the kubelet.
async fn reason(client: &kube::Client, namespace: &str) -> String {
    let selector = ListParams::default().labels(&format!("app.kubernetes.io/name={CONTROLLER}"));
    let Ok(pods) = Api::<Pod>::namespaced(client.clone(), namespace).list(&selector).await else { return String::new() };
    if pods.items.is_empty() {
        return ": it has no pod".to_owned();
    }
    let statuses = pods.items.iter().filter_map(|pod| pod.status.as_ref());
    let waiting = statuses.clone().flat_map(|status| status.container_statuses.iter().flatten()).find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        Some(format!(": {} {}", waiting.reason.as_deref().unwrap_or_default(), waiting.message.as_deref().unwrap_or_default()))
    });
    let pending = || {
        statuses.flat_map(|status| status.conditions.iter().flatten()).find_map(|condition| {
            (condition.status == "False").then(|| format!(": {}", condition.message.as_deref().unwrap_or(&condition.type_)))
        })
    };
    waiting.or_else(pending).unwrap_or_default().trim_end().to_owned()
}

fn late(limit: Duration, what: &str, hint: Option<String>) -> Failure {
    let mut failure = Failure::new(format!("{what} after {}s; everything is applied, and goes on", limit.as_secs()));
    failure.hint = hint;
    failure.with_exit(Exit::TimedOut)
}
