//! Brings the Secret of one SealedSecret to what it should be.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::Resource as _;
use kube::api::{DynamicObject, GetParams, Patch, PatchParams, PostParams};
use kube::core::{ObjectMeta, PartialObjectMeta, Request};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType};
use serde_json::{Map, Value, json};

use super::SealingContext;
use super::context::{Counters, metadata_only, sealed_secret_resource};
use super::metrics::FailedStep;
use super::obstacle::{Obstacle, shortened};
use super::secrets::{FIELD_MANAGER, Place, SecretFacts, place_of};
use super::status::{self, Verdict};
use crate::api::SealedSecret;
use crate::resource::Object;
use crate::sealing::{
    HEAL, KeyId, OpenedSecret, Ownership, SecretManifest, Source, Trial, UNSEALED_WITH, UnsealError, Write, managed_by_us,
    ownership, plan_write, skips_owner_reference, unseal_rendering,
};
use crate::world::ThisMachine;

/// Brings the Secret of one SealedSecret to what it should be, and says so in its status.
pub(super) async fn reconcile(object: Arc<DynamicObject>, cx: Arc<SealingContext>) -> Action {
    let place = place_of(&object.metadata);
    let is_outdated = cx.outdated.holds(&place, object.metadata.resource_version.as_deref());
    if object.metadata.deletion_timestamp.is_some() || is_outdated {
        cx.backlog.finished(&place);
        return Action::await_change();
    }
    let key = format!("{}/{}", place.0, place.1);
    let outcome = open(&object, &place, &key, &cx).await;
    match &outcome {
        Err(Obstacle::NotManaged { .. }) => cx.watch_foreign(&place),
        _ => cx.foreign.forget(&place),
    }
    let verdict = outcome.as_ref().map_or_else(Obstacle::verdict, |_| Verdict::synced());
    if let Err(obstacle) = &outcome {
        cx.metrics().count_error(obstacle.failed_step(), &place.0);
    }
    let status_written = status::write(&cx, &object, &verdict).await;
    if matches!(status_written, Ok(true)) || matches!(outcome, Ok(Done::Wrote)) {
        tell(&cx, &object, &place, outcome.as_ref().err());
    }
    if let Err(error) = &status_written {
        cx.metrics().count_error(FailedStep::Status, &place.0);
        tracing::warn!(sealed_secret = key, %error, "cannot write the status, trying again");
    }
    cx.backlog.finished(&place);
    match outcome {
        Err(obstacle) if obstacle.is_retried() => Action::requeue(cx.wait_after_failure(&key)),
        _ if status_written.is_err() => Action::requeue(cx.wait_after_failure(&key)),
        _ => {
            cx.forget_failures(&key);
            Action::await_change()
        }
    }
}

/// How a SealedSecret came to be in order.
#[derive(Debug)]
enum Done {
    /// It was.
    Already,
    /// The Secret was written.
    Wrote,
}

async fn open(object: &DynamicObject, place: &Place, key: &str, cx: &SealingContext) -> Result<Done, Obstacle> {
    let sealed = Arc::new(read(object)?);
    let source = Source::of(&sealed);
    let facts = cx.secrets.get(place);
    let is_in_order = facts.as_ref().is_some_and(|facts| is_in_order(facts, &sealed, &source));
    if is_in_order || is_left_alone(object, facts.as_ref(), &source, cx.options.heal) {
        return Ok(Done::Already);
    }
    if sealed.spec.data.is_some() && !cx.options.accept_whole_objects {
        return Err(Obstacle::Unseal(UnsealError::WholeObject));
    }
    // A Secret without our label is rarely there: it is created unseen, which saves a request for every new object.
    let is_guess = facts.is_none() && !cx.has_failed(key);
    // Otherwise before any key is used: a foreign Secret would be looked at again and again.
    let live = if is_guess { None } else { find_own(&sealed, place, cx).await? };
    let last = live.as_ref().and_then(|(live, _)| live.annotation(UNSEALED_WITH)).map(KeyId::remembered);
    let (mut opened, used) = decrypt(&sealed, last, object, cx).await?;
    opened.remember(&source, used.as_ref());
    match write(cx, place, &opened, live).await {
        Err(kube::Error::Api(status)) if is_guess && status.reason == "AlreadyExists" => {
            let live = find_own(&sealed, place, cx).await?;
            write(cx, place, &opened, live).await.map_err(Obstacle::Api)
        }
        written => written.map_err(Obstacle::Api),
    }
}

/// The Secret as it is, with our right to it; none when there is no such Secret.
async fn find_own(
    sealed: &SealedSecret,
    place: &Place,
    cx: &SealingContext,
) -> Result<Option<(SecretManifest, Ownership)>, Obstacle> {
    let Some(live) = get_secret(cx, place).await.map_err(Obstacle::Api)? else { return Ok(None) };
    match ownership(&live, sealed) {
        Ownership::Foreign => Err(Obstacle::NotManaged { name: place.1.clone() }),
        ownership => Ok(Some((live, ownership))),
    }
}

fn read(object: &DynamicObject) -> Result<SealedSecret, Obstacle> {
    let mut value = object.data.clone();
    let metadata = serde_json::to_value(&object.metadata).map_err(Obstacle::Unreadable)?;
    if let Value::Object(map) = &mut value {
        // Only its own writer reads it, and a strange one must not stand in the way of opening.
        map.remove("status");
        map.insert("metadata".into(), metadata);
    }
    serde_json::from_value(value).map_err(Obstacle::Unreadable)
}

/// Whether the Secret was opened from exactly this SealedSecret and nobody has changed its values or owner since.
fn is_in_order(facts: &SecretFacts, sealed: &SealedSecret, source: &Source) -> bool {
    let uid = sealed.metadata.uid.as_deref().unwrap_or_default();
    let owned = facts.is_controlled_by(uid)
        || facts.is_patched()
        || managed_by_us(facts.unsealed_from.as_deref(), uid) && skips_owner_reference(sealed);
    facts.unsealed_from.as_deref() == Some(source.as_str()) && owned && facts.is_untouched(sealed.spec.item_keys())
}

/// Whether the SealedSecret, or the installation, asks for its Secret to be left as people make it, and has opened once as it is now.
fn is_left_alone(object: &DynamicObject, facts: Option<&SecretFacts>, source: &Source, heals: bool) -> bool {
    let annotations = object.metadata.annotations.as_ref();
    let asks = annotations.and_then(|all| all.get(HEAL)).is_some_and(|value| value == "false");
    (asks || !heals)
        && match facts {
            Some(facts) => facts.unsealed_from.as_deref() == Some(source.as_str()),
            None => status::is_synced(object),
        }
}

/// Opens on a thread that may block: a private RSA operation takes milliseconds, and there is one for every item. No more at a time
/// than there are processors, so that those who wait for the API server are not slowed down by more of them.
async fn decrypt(
    sealed: &Arc<SealedSecret>,
    last: Option<KeyId>,
    object: &DynamicObject,
    cx: &SealingContext,
) -> Result<(OpenedSecret, Option<KeyId>), Obstacle> {
    let (sealed, keys) = (Arc::clone(sealed), cx.keys.borrow().clone());
    let mut trial = Trial { last, sealed_by: last_edit(object), operations: 0 };
    // Cannot fail: the semaphore is never closed.
    let turn = cx.opening.acquire().await.map_err(|_| Obstacle::Cancelled)?;
    let task = tokio::task::spawn_blocking(move || {
        let opened = unseal_rendering(&sealed, &keys, &mut trial, &mut ThisMachine);
        (opened, trial)
    });
    let (opened, trial) = task.await.map_err(|_| Obstacle::Cancelled)?;
    drop(turn);
    Counters::add(&cx.counters().unseals, 1);
    Counters::add(&cx.counters().private_key_operations, trial.operations);
    Ok((opened.map_err(Obstacle::Unseal)?, trial.last))
}

/// The last time anybody but the controller wrote the object: what is sealed in it was sealed before.
fn last_edit(object: &DynamicObject) -> Option<jiff::Timestamp> {
    let entries = object.metadata.managed_fields.iter().flatten();
    let edits = entries.filter(|entry| entry.subresource.is_none()).filter_map(|entry| entry.time.as_ref()).map(|time| time.0);
    edits.max().or(object.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

fn secrets(place: &Place) -> Request {
    Request::new(format!("/api/v1/namespaces/{}/secrets", place.0))
}

async fn get_secret(cx: &SealingContext, place: &Place) -> Result<Option<SecretManifest>, kube::Error> {
    let request = secrets(place).get(&place.1, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
    match cx.client.request::<Object>(request).await {
        Ok(live) => Ok(Some(SecretManifest::new(live))),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

/// One POST or PUT, or nothing. A PUT carries the resourceVersion that was read, so nobody's edit is overwritten unseen.
async fn write(
    cx: &SealingContext,
    place: &Place,
    opened: &OpenedSecret,
    live: Option<(SecretManifest, Ownership)>,
) -> Result<Done, kube::Error> {
    let (live, ownership) = live.map_or((None, Ownership::Ours), |(live, ownership)| (Some(live), ownership));
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    let body = |manifest: &SecretManifest| serde_json::to_vec(&**manifest).map_err(kube::Error::SerdeError);
    let request = match plan_write(opened.manifest(), live.as_ref(), ownership) {
        Write::Nothing => None,
        Write::Create(manifest) => Some(secrets(place).create(&parameters, body(&manifest)?)),
        Write::Update(manifest) => Some(secrets(place).replace(&place.1, &parameters, body(&manifest)?)),
    };
    let mut now = match live.as_ref().and_then(|live| live.get(&["metadata"])) {
        Some(metadata) => facts(metadata)?,
        None => SecretFacts::default(),
    };
    let mut done = Done::Already;
    if let Some(request) = request {
        now = send(cx, request).await?;
        done = Done::Wrote;
    }
    if !now.owns(opened.data.keys()) {
        now = take_ownership(cx, place, opened).await?;
        done = Done::Wrote;
    }
    cx.secrets.note(place, now);
    Ok(done)
}

fn facts(metadata: &Value) -> Result<SecretFacts, kube::Error> {
    let metadata: ObjectMeta = serde_json::from_value(metadata.clone()).map_err(kube::Error::SerdeError)?;
    Ok(SecretFacts::of(&metadata))
}

/// Writes a Secret; the values do not come back.
async fn send(
    cx: &SealingContext,
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<SecretFacts, kube::Error> {
    let request = metadata_only(request.map_err(kube::Error::BuildRequest)?);
    let answer: PartialObjectMeta<Secret> = cx.client.request(request).await?;
    Counters::add(&cx.counters().secret_writes, 1);
    Ok(SecretFacts::of(&answer.metadata))
}

/// Applies the items that another controller wrote before us with the same values, so that the API server notes them as ours
/// too: from then on a foreign edit shows in the metadata, and nothing has to be decrypted to find it.
async fn take_ownership(cx: &SealingContext, place: &Place, opened: &OpenedSecret) -> Result<SecretFacts, kube::Error> {
    let manifest = opened.manifest();
    let items = SecretManifest::new(Object(Map::from_iter([
        ("apiVersion".to_owned(), "v1".into()),
        ("kind".to_owned(), "Secret".into()),
        ("metadata".to_owned(), json!({ "name": place.1, "namespace": place.0 })),
        ("data".to_owned(), manifest.get(&["data"]).cloned().unwrap_or_default()),
    ])));
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    send(cx, secrets(place).patch(&place.1, &parameters, &Patch::Apply(&*items))).await
}

fn tell(cx: &SealingContext, object: &DynamicObject, place: &Place, obstacle: Option<&Obstacle>) {
    let (type_, reason, note) = match obstacle {
        None => (EventType::Normal, "Unsealed", "SealedSecret unsealed successfully".to_owned()),
        Some(obstacle) => {
            let (reason, note) = obstacle.event(place);
            tracing::warn!(sealed_secret = format!("{}/{}", place.0, place.1), note, "SealedSecret not opened");
            (EventType::Warning, reason, note)
        }
    };
    let event = Event { type_, reason: reason.into(), note: Some(shortened(note)), action: reason.into(), secondary: None };
    cx.events.add(event, object.object_ref(&sealed_secret_resource()));
}
