//! The status of a SealedSecret: decided here, written only on a change, and again after a conflict.

use jiff::Timestamp;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{PartialObjectMeta, Request};
use serde_json::{Value, json};

use super::SealingContext;
use super::context::{Counters, metadata_only, sealed_secret_resource};
use super::secrets::{FIELD_MANAGER, place_of};

/// Attempts against others who write the same object.
const ATTEMPTS: usize = 5;

/// What came out for one SealedSecret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether the Secret is as it should be.
    pub synced: bool,
    /// One word.
    pub reason: &'static str,
    /// What is wrong; empty when nothing is.
    pub message: String,
}

impl Verdict {
    pub const fn synced() -> Self {
        Self { synced: true, reason: "Unsealed", message: String::new() }
    }

    pub const fn failed(reason: &'static str, message: String) -> Self {
        Self { synced: false, reason, message }
    }
}

/// Whether the status says that this generation was opened.
pub(super) fn is_synced(object: &DynamicObject) -> bool {
    let status = &object.data["status"];
    let conditions = status["conditions"].as_array().into_iter().flatten();
    status["observedGeneration"].as_i64() == object.metadata.generation
        && conditions.filter(|condition| condition["type"] == "Synced").any(|condition| condition["status"] == "True")
}

/// Decides the next status; `None` when the present one says the same. Conditions of other types stay, behind ours.
pub(super) fn next_status(present: Option<&Value>, generation: Option<i64>, verdict: &Verdict, now: Timestamp) -> Option<Value> {
    let present = present.unwrap_or(&Value::Null);
    let conditions = present["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ours = conditions.iter().find(|condition| condition["type"] == "Synced");
    let status = if verdict.synced { "True" } else { "False" };
    let same_status = ours.is_some_and(|condition| condition["status"] == status);
    let text = |field: &str| ours.and_then(|condition| condition[field].as_str()).unwrap_or_default();
    let same_generation = generation.is_none() || present["observedGeneration"].as_i64() == generation;
    // An empty reason is upstream's way; that alone is no cause for a write.
    let same_reason = text("reason").is_empty() || text("reason") == verdict.reason;
    if same_status && same_generation && same_reason && text("message") == verdict.message {
        return None;
    }
    let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let flipped = if same_status && !text("lastTransitionTime").is_empty() { text("lastTransitionTime") } else { &now };
    let mut condition = json!({
        "type": "Synced", "status": status, "reason": verdict.reason, "lastUpdateTime": now, "lastTransitionTime": flipped,
    });
    if !verdict.message.is_empty() {
        condition["message"] = verdict.message.as_str().into();
    }
    let others = conditions.iter().filter(|condition| condition["type"] != "Synced").cloned();
    let conditions: Vec<Value> = std::iter::once(condition).chain(others).collect();
    Some(json!({ "observedGeneration": generation, "conditions": conditions }))
}

/// Writes the status if it says something new. After a conflict the object is read again: our verdict stands unless it is about
/// an older generation.
///
/// # Errors
/// When the API server refuses or cannot be reached.
pub(super) async fn write(cx: &SealingContext, object: &DynamicObject, verdict: &Verdict) -> Result<bool, kube::Error> {
    if !cx.options.update_status {
        return Ok(false);
    }
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let api: Api<DynamicObject> = Api::namespaced_with(cx.client.clone(), namespace, &sealed_secret_resource());
    let mut latest: Option<DynamicObject> = None;
    for attempt in 1.. {
        let current = latest.as_ref().unwrap_or(object);
        if current.metadata.generation != object.metadata.generation || current.metadata.uid != object.metadata.uid {
            return Ok(false);
        }
        let Some(status) = next_status(current.data.get("status"), current.metadata.generation, verdict, Timestamp::now()) else {
            return Ok(false);
        };
        let patch = json!({ "metadata": { "resourceVersion": current.metadata.resource_version }, "status": status });
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        match patch_status(cx, &api, name, &parameters, &Patch::Merge(patch)).await {
            Ok(()) => {
                Counters::add(&cx.counters().status_writes, 1);
                cx.outdated.add(place_of(&object.metadata), current.metadata.resource_version.as_deref());
                return Ok(true);
            }
            Err(kube::Error::Api(status)) if status.code == 409 && attempt < ATTEMPTS => match api.get_opt(name).await? {
                Some(object) => latest = Some(object),
                None => return Ok(false),
            },
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

async fn patch_status(
    cx: &SealingContext,
    api: &Api<DynamicObject>,
    name: &str,
    parameters: &PatchParams,
    patch: &Patch<Value>,
) -> Result<(), kube::Error> {
    let request = Request::new(api.resource_url()).patch_subresource("status", name, parameters, patch);
    let request = metadata_only(request.map_err(kube::Error::BuildRequest)?);
    cx.client.request::<PartialObjectMeta<DynamicObject>>(request).await.map(drop)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::sync::{Arc, Mutex};

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_same_verdict_is_not_written_again() {
        let verdict = Verdict::failed("UnsealFailed", "no key".into());
        let first = next_status(None, Some(1), &verdict, at("2026-01-01T00:00:00Z")).unwrap();
        assert_eq!(next_status(Some(&first), Some(1), &verdict, at("2026-01-02T00:00:00Z")), None);
        let upstream = json!({"observedGeneration": 1, "conditions": [{"type": "Synced", "status": "True"}]});
        assert_eq!(next_status(Some(&upstream), Some(1), &Verdict::synced(), at("2026-01-02T00:00:00Z")), None);
    }

    #[test]
    fn a_new_message_or_generation_is_written_and_only_a_flip_moves_the_transition_time() {
        let first =
            next_status(None, Some(1), &Verdict::failed("UnsealFailed", "no key".into()), at("2026-01-01T00:00:00Z")).unwrap();
        let second =
            next_status(Some(&first), Some(1), &Verdict::failed("UnsealFailed", "bad base64".into()), at("2026-01-02T00:00:00Z"))
                .unwrap();
        assert_eq!(second["conditions"][0]["lastUpdateTime"], "2026-01-02T00:00:00Z");
        assert_eq!(second["conditions"][0]["lastTransitionTime"], "2026-01-01T00:00:00Z");
        let third = next_status(Some(&second), Some(2), &Verdict::synced(), at("2026-01-03T00:00:00Z")).unwrap();
        assert_eq!(third["observedGeneration"], 2);
        assert_eq!(third["conditions"][0]["lastTransitionTime"], "2026-01-03T00:00:00Z");
        assert_eq!(third["conditions"][0].get("message"), None);
    }

    #[test]
    fn conditions_of_others_stay_behind_ours() {
        let present = json!({"conditions": [{"type": "Other", "status": "True"}]});
        let next = next_status(Some(&present), Some(1), &Verdict::synced(), at("2026-01-01T00:00:00Z")).unwrap();
        let types: Vec<_> = next["conditions"].as_array().unwrap().iter().map(|condition| condition["type"].clone()).collect();
        assert_eq!(types, ["Synced", "Other"]);
    }

    /// An API server with one SealedSecret, which somebody else changes before the first write arrives.
    fn client(generation: i64, writes: Arc<Mutex<Vec<Value>>>) -> kube::Client {
        kube::Client::new(
            tower::service_fn(move |request: http::Request<kube::client::Body>| {
                let writes = Arc::clone(&writes);
                async move {
                    let (code, answer) = if request.method() == http::Method::GET {
                        let metadata = json!({"name": "db", "resourceVersion": "2", "generation": generation});
                        (200, json!({"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": metadata}))
                    } else {
                        let body = request.into_body().collect_bytes().await.unwrap();
                        let patch: Value = serde_json::from_slice(&body).unwrap();
                        let is_current = patch["metadata"]["resourceVersion"] == "2";
                        writes.lock().unwrap().push(patch);
                        let object =
                            json!({"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": {"name": "db"}});
                        let refusal = json!({"kind": "Status", "status": "Failure", "code": 409, "reason": "Conflict", "message": "", "metadata": {}});
                        if is_current { (200, object) } else { (409, refusal) }
                    };
                    let body = kube::client::Body::from(answer.to_string().into_bytes());
                    Ok::<_, std::convert::Infallible>(http::Response::builder().status(code).body(body).unwrap())
                }
            }),
            "default",
        )
    }

    #[tokio::test]
    async fn a_conflict_is_written_again_unless_the_object_is_another() {
        let mut object = DynamicObject::new("db", &sealed_secret_resource()).within("web");
        (object.metadata.generation, object.metadata.resource_version) = (Some(1), Some("1".into()));
        for (generation, is_written) in [(1, true), (2, false)] {
            let writes = Arc::default();
            let cx = SealingContext::new(client(generation, Arc::clone(&writes)), "argocd".into());
            assert_eq!(write(&cx, &object, &Verdict::synced()).await.unwrap(), is_written);
            let versions: Vec<Value> =
                writes.lock().unwrap().iter().map(|patch| patch["metadata"]["resourceVersion"].clone()).collect();
            let expected: &[&str] = if is_written { &["1", "2"] } else { &["1"] };
            assert_eq!(versions, expected, "generation {generation}");
        }
    }
}
