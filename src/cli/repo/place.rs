//! What is registered in the control namespace, as far as this user may read it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::ListParams;

use crate::cli::{Context, Failure};
use crate::source::credentials::{KNOWN_HOSTS_CONFIG_MAP, REPOSITORY, SECRET_TYPE, TEMPLATE, TLS_CONFIG_MAP, Trust};

/// The Secrets of repositories.
pub(super) async fn secrets(cx: &Context) -> Result<Vec<Secret>, Failure> {
    let selector = format!("{SECRET_TYPE} in ({REPOSITORY},{TEMPLATE})");
    let listed = api(cx).await?.list(&ListParams::default().labels(&selector)).await;
    let doing = format!("list the Secrets of repositories in namespace {}", cx.flags.controller_namespace);
    Ok(listed.map_err(|error| cx.explain(&error, &doing))?.items)
}

/// The API of Secrets in the control namespace.
pub(super) async fn api(cx: &Context) -> Result<Api<Secret>, Failure> {
    Ok(Api::namespaced(cx.client().await?, &cx.flags.controller_namespace))
}

/// Certificates and host keys of the control namespace.
pub(super) async fn trust(cx: &Context) -> Result<Trust, Failure> {
    Ok(Trust::new(&data(TLS_CONFIG_MAP, cx).await?, &data(KNOWN_HOSTS_CONFIG_MAP, cx).await?))
}

async fn data(name: &str, cx: &Context) -> Result<BTreeMap<String, String>, Failure> {
    let api: Api<ConfigMap> = Api::namespaced(cx.client().await?, &cx.flags.controller_namespace);
    let found = api.get_opt(name).await.map_err(|error| cx.explain(&error, &format!("read ConfigMap {name}")))?;
    Ok(found.and_then(|map| map.data).unwrap_or_default())
}
