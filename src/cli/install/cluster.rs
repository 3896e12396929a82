//! Reading and writing the objects of an installation.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;

use crate::cli::{Context, Failure};
use crate::resource::Object;

/// The name that fields of the installation carry in managedFields.
const MANAGER: &str = "kubectl-gitops";
/// The generator of the original definitions leaves this mark on them.
const ORIGINAL_DEFINITION: &str = "controller-gen.kubebuilder.io/version";

/// What was done to one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It was not there.
    Created,
    /// It was changed.
    Configured,
    /// It was as it should be.
    Unchanged,
    /// It belongs to somebody else and does what is needed.
    Kept,
    /// It was taken away.
    Deleted,
}

impl Action {
    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::Kept => "kept",
            Self::Deleted => "deleted",
        }
    }
}

/// The API of a shipped kind. Plurals are guessed, which is right for all kinds we ship.
#[must_use]
pub fn api(client: &kube::Client, object: &Object) -> Api<DynamicObject> {
    let resource = resource(object);
    if object.namespace().is_empty() {
        Api::all_with(client.clone(), &resource)
    } else {
        Api::namespaced_with(client.clone(), object.namespace(), &resource)
    }
}

fn resource(object: &Object) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(object.group(), object.version(), object.kind()))
}

/// Applies one object; definitions of the original projects stay as they are.
pub async fn apply(cx: &Context, object: &Object, dry_run: bool) -> Result<Action, Failure> {
    let client = cx.client().await?;
    let api = api(&client, object);
    let refused = |error: kube::Error| explain(cx, &error, object);
    let live = api.get_opt(object.name()).await.map_err(refused)?;
    if live.as_ref().is_some_and(|live| object.kind() == "CustomResourceDefinition" && is_original(live)) {
        return Ok(Action::Kept);
    }
    let params = PatchParams { dry_run, force: true, field_manager: Some(MANAGER.to_owned()), field_validation: None };
    let stored = match api.patch(object.name(), &params, &Patch::Apply(object)).await {
        Ok(stored) => stored,
        // The namespace is only created by a run that is meant, so what goes into it cannot be checked yet.
        Err(kube::Error::Api(status)) if dry_run && live.is_none() && status.code == 404 => return Ok(Action::Created),
        Err(error) => return Err(refused(error)),
    };
    Ok(match live {
        None => Action::Created,
        Some(live) if live.metadata.resource_version == stored.metadata.resource_version => Action::Unchanged,
        Some(_) => Action::Configured,
    })
}

fn is_original(live: &DynamicObject) -> bool {
    live.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(ORIGINAL_DEFINITION))
}

/// Deletes one object; `None` when it is not there.
pub async fn delete(cx: &Context, object: &Object, dry_run: bool) -> Result<Option<Action>, Failure> {
    let client = cx.client().await?;
    let params = DeleteParams { dry_run, ..DeleteParams::background() };
    match api(&client, object).delete(object.name(), &params).await {
        Ok(_) => Ok(Some(Action::Deleted)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(cx.explain(&error, &format!("delete {}", object.key()))),
    }
}

fn explain(cx: &Context, error: &kube::Error, object: &Object) -> Failure {
    let failure = cx.explain(error, &format!("apply {}", object.key()));
    match error {
        kube::Error::Api(status) if status.message.contains("attempting to grant RBAC permissions not currently held") => failure
            .with_hint("nobody can give rights they do not have: ask a cluster administrator, or install --profile seal-only"),
        _ => failure,
    }
}

/// The first thing that this user may not do; asked before anything is written, so that nothing is left half done.
pub async fn missing_right(cx: &Context, objects: &[Object], verb: &str) -> Result<Option<String>, Failure> {
    let client = cx.client().await?;
    let mut asked: Vec<(String, String, String)> = Vec::new();
    for object in objects {
        let (group, plural) = (object.group().to_owned(), resource(object).plural);
        let question = (group, plural, object.namespace().to_owned());
        if asked.contains(&question) {
            continue;
        }
        let (group, plural, namespace) = question.clone();
        asked.push(question);
        if may(&client, verb, &group, &plural, &namespace).await == Some(false) {
            let group = if group.is_empty() { String::new() } else { format!(".{group}") };
            let place = if namespace.is_empty() { String::new() } else { format!(" -n {namespace}") };
            return Ok(Some(format!("{verb} {plural}{group}{place}")));
        }
    }
    Ok(None)
}

/// Whether this user may; `None` when the API server does not say.
pub async fn may(client: &kube::Client, verb: &str, group: &str, resource: &str, namespace: &str) -> Option<bool> {
    ask(client, verb, group, resource, namespace, None).await
}

/// Whether this user may do that to the object of this name.
pub async fn may_named(client: &kube::Client, verb: &str, resource: &str, namespace: &str, name: &str) -> Option<bool> {
    ask(client, verb, "", resource, namespace, Some(name)).await
}

async fn ask(
    client: &kube::Client,
    verb: &str,
    group: &str,
    resource: &str,
    namespace: &str,
    name: Option<&str>,
) -> Option<bool> {
    let asked = ResourceAttributes {
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
        name: name.map(str::to_owned),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(asked), ..SelfSubjectAccessReviewSpec::default() };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let answer = Api::<SelfSubjectAccessReview>::all(client.clone()).create(&PostParams::default(), &review).await.ok()?;
    answer.status.map(|status| status.allowed)
}
