//! Answers `plugin`: asks the user's service for sets of parameters.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use super::Context;
use crate::appset::Answer;

/// Time limit when the ConfigMap names none.
const TIMEOUT: u64 = 30;
/// Longest reply that is read.
const MAX_REPLY: usize = 16 << 20;

/// Asks the service that a ConfigMap describes.
///
/// # Errors
/// The ConfigMap or the token cannot be read, the service does not answer with 200, or with something else than parameters.
pub async fn ask(config_map: &str, parameters: &str, set: &str, cx: &Context) -> Result<Answer, String> {
    let maps: Api<ConfigMap> = Api::namespaced(cx.client.clone(), &cx.control_namespace);
    let map = maps.get(config_map).await.map_err(|error| format!("cannot read ConfigMap {config_map}: {error}"))?;
    let map = map.data.unwrap_or_default();
    let value = |key: &str| map.get(key).map(|value| value.trim().to_owned()).unwrap_or_default();
    let (base, limit) = (value("baseUrl"), value("requestTimeout"));
    if base.is_empty() {
        return Err(format!("ConfigMap {config_map} has no baseUrl"));
    }
    let limit = if limit.is_empty() {
        TIMEOUT
    } else {
        limit.parse().map_err(|_| format!("requestTimeout of ConfigMap {config_map} must be seconds, not {limit:?}"))?
    };
    let token = token(config_map, &map, cx).await?;
    let parameters: Json = serde_json::from_str(parameters).map_err(|error| error.to_string())?;
    let body = json!({ "applicationSetName": set, "input": { "parameters": parameters } });
    let url = format!("{}/api/v1/getparams.execute", base.trim_end_matches('/'));
    let request = cx
        .http
        .post(&url)
        .timeout(Duration::from_secs(limit))
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", token.as_str()))
        .body(body.to_string());
    let reply = request.send().await.map_err(|error| format!("{url} does not answer: {}", error.without_url()))?;
    let status = reply.status();
    let bytes = super::http::body(reply, MAX_REPLY).await.map_err(|error| format!("{url}: {error}"))?;
    if !status.is_success() {
        return Err(format!("{url} answered {status}"));
    }
    let reply: Json = serde_json::from_slice(&bytes).map_err(|error| format!("{url} did not answer with JSON: {error}"))?;
    match reply.pointer("/output/parameters") {
        Some(Json::Array(sets)) => Ok(Answer::Parameters(sets.clone())),
        _ => Err(format!("{url} did not answer with output.parameters, a list")),
    }
}

/// `$key` is a key of `argocd-secret`, `$secret:key` one of another Secret of the control namespace.
async fn token(config_map: &str, map: &BTreeMap<String, String>, cx: &Context) -> Result<Zeroizing<String>, String> {
    let reference = map.get("token").map(|token| token.trim()).unwrap_or_default();
    let Some(reference) = reference.strip_prefix('$') else {
        return Err(format!("token of ConfigMap {config_map} must begin with $ and name a key of a Secret: $KEY or $SECRET:KEY"));
    };
    let (name, key) = reference.split_once(':').unwrap_or(("argocd-secret", reference));
    super::http::secret_value(&cx.client, &cx.control_namespace, name, key).await
}
