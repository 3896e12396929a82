//! `uninstall`: takes the controller away and leaves what cannot be made again.

use clap::{Args, ValueEnum};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding};
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use serde::Serialize;

use super::DryRun;
use super::cluster::{Action, delete};
use super::manifests::{all_profiles, is_right};
use crate::api::crd;
use crate::cli::output::{Output, Report, print_document};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::keys::inventory;
use crate::resource::Object;
use crate::ui::symbols::Symbols;
use crate::ui::{confirm, paint, stream};

/// Remove the controller and its rights.
///
/// Keeps the namespace, the sealing keys, the CustomResourceDefinitions and every object of them, and says how many there are: without
/// a controller nothing syncs and no SealedSecret is opened, and installing again goes on where it stopped. Deleting a definition
/// deletes its objects; that takes --delete-crds, and --delete-crds=with-objects where there are any.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops uninstall --dry-run=server")]
pub struct UninstallArgs {
    /// Delete the CustomResourceDefinitions too: if they have no objects, or with them
    #[arg(long, value_name = "WHICH", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "empty")]
    delete_crds: Option<DeleteCrds>,
    /// server only says what would be deleted
    #[arg(long, value_name = "MODE", value_parser = parse_dry_run, num_args = 0..=1, require_equals = true,
          default_missing_value = "server", default_value = "none")]
    dry_run: DryRun,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DeleteCrds {
    /// Only those without objects
    Empty,
    /// With all their objects: Applications, projects and SealedSecrets are lost
    WithObjects,
}

fn parse_dry_run(text: &str) -> Result<DryRun, String> {
    match text {
        "none" => Ok(DryRun::None),
        "server" => Ok(DryRun::Server),
        _ => Err("offered are: none, server".to_owned()),
    }
}

#[derive(Debug, Serialize)]
struct Uninstalled {
    objects: Vec<super::Done>,
    kept: Vec<Kept>,
}

/// Something that stays, and what that means.
#[derive(Debug, Serialize)]
struct Kept {
    what: String,
    number: usize,
}

/// Uninstalls.
///
/// # Errors
/// When nobody agreed, a definition has objects, or the API server refuses something.
pub async fn run(args: UninstallArgs, cx: &Context) -> CommandResult {
    let namespace = cx.flags.controller_namespace.clone();
    let is_dry = args.dry_run == DryRun::Server;
    if !is_dry && !args.yes && !confirm::can_ask() {
        return Err(Failure::new("refusing to uninstall without --yes").with_hint("see first: --dry-run=server"));
    }
    let kept = count(cx, &namespace).await?;
    let mut doomed = ours(cx, &namespace).await?;
    if let Some(which) = args.delete_crds {
        let filled: Vec<&Kept> = kept.iter().filter(|one| one.number > 0 && one.what.contains('.')).collect();
        if let (DeleteCrds::Empty, Some(first)) = (which, filled.first()) {
            return Err(Failure::new(format!(
                "there are {} {}; deleting their definition deletes them",
                first.number, first.what
            ))
            .with_hint("back them up, then --delete-crds=with-objects"));
        }
        doomed.extend(crd::all().into_iter().filter_map(|value| Object::from_value(value).ok()));
    }
    if !is_dry && !args.yes && !agreed(cx, &kept, args.delete_crds)? {
        return Ok(Exit::No);
    }
    let mut objects = Vec::new();
    for object in &doomed {
        if let Some(action) = delete(cx, object, is_dry).await? {
            objects.push(super::Done { r#ref: object.key().to_string(), action });
        }
    }
    let report = Uninstalled { objects, kept };
    match args.output {
        Some(output) => print_document(output, &Report::new("UninstallReport", true, report, Vec::new()))?,
        None => tell(&report, &namespace, is_dry, args.delete_crds.is_some()),
    }
    Ok(Exit::Done)
}

/// The objects of any profile, last first; without the namespace, the definitions, and roles that others still use.
async fn ours(cx: &Context, namespace: &str) -> Result<Vec<Object>, Failure> {
    let mut objects: Vec<Object> = all_profiles(namespace);
    objects.retain(|object| !matches!(object.kind(), "Namespace" | "CustomResourceDefinition"));
    let used = roles_of_others(cx, &objects).await?;
    objects.retain(|object| object.kind() != "ClusterRole" || !is_used(object, &used));
    objects.reverse();
    Ok(objects)
}

/// The roles that the deploying role is put together from have no binding of their own; they stay as long as it does.
fn is_used(role: &Object, used: &[String]) -> bool {
    used.iter().any(|name| role.name() == name || role.name().starts_with(&format!("{name}-")))
}

/// ClusterRoles that a binding other than ours names, for example that of a second control namespace.
async fn roles_of_others(cx: &Context, objects: &[Object]) -> Result<Vec<String>, Failure> {
    let client = cx.client().await?;
    let is_ours = |name: Option<&String>| {
        objects.iter().any(|object| {
            is_right(object) && object.kind() == "ClusterRoleBinding" && Some(object.name()) == name.map(String::as_str)
        })
    };
    let refused = |error: kube::Error| cx.explain(&error, "list the bindings of ClusterRoles");
    let cluster = Api::<ClusterRoleBinding>::all(client.clone()).list(&ListParams::default()).await.map_err(refused)?;
    let namespaced = Api::<RoleBinding>::all(client).list(&ListParams::default()).await.map_err(refused)?;
    let wide = cluster.items.into_iter().filter(|one| !is_ours(one.metadata.name.as_ref())).map(|one| one.role_ref);
    let narrow = namespaced.items.into_iter().map(|one| one.role_ref);
    Ok(wide.chain(narrow).filter(|role| role.kind == "ClusterRole").map(|role| role.name).collect())
}

/// What would be useless or lost without the controller.
async fn count(cx: &Context, namespace: &str) -> Result<Vec<Kept>, Failure> {
    let client = cx.client().await?;
    let mut kept = Vec::new();
    for definition in crd::all() {
        let text = |pointer: &str| definition.pointer(pointer).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        let kind = GroupVersionKind::gvk(&text("/spec/group"), "v1alpha1", &text("/spec/names/kind"));
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk(&kind));
        let number = match api.list_metadata(&ListParams::default()).await {
            Ok(found) => found.items.len(),
            Err(kube::Error::Api(status)) if status.code == 404 => 0,
            Err(error) => return Err(cx.explain(&error, &format!("count {}", text("/metadata/name")))),
        };
        kept.push(Kept { what: text("/metadata/name"), number });
    }
    let keys = inventory::list_notes(&client, namespace).await;
    let keys = keys.map_err(|error| cx.explain(&error, &format!("count the sealing keys in {namespace:?}")))?;
    kept.push(Kept { what: format!("sealing keys in {namespace}"), number: keys.len() });
    Ok(kept)
}

fn agreed(cx: &Context, kept: &[Kept], delete_crds: Option<DeleteCrds>) -> Result<bool, Failure> {
    for one in kept.iter().filter(|one| one.number > 0) {
        let lost = delete_crds == Some(DeleteCrds::WithObjects) && one.what.contains('.');
        stream::say(&format!("{} {}: {}", one.number, one.what, if lost { "deleted as well" } else { "kept" }));
    }
    let question = format!("Remove the controller from {}?", cx.describe_server());
    confirm::ask(&question).map_err(|error| Failure::new("cannot read the answer").with_cause(&error))
}

fn tell(report: &Uninstalled, namespace: &str, is_dry: bool, with_definitions: bool) {
    let done = paint::good(Symbols::get().done);
    for one in &report.objects {
        stream::out(&format!("{done} {} {}{}\n", one.r#ref, if is_dry { "would be " } else { "" }, Action::Deleted.word()));
    }
    if report.objects.is_empty() {
        stream::say(&format!("there is no installation in {namespace:?}"));
    }
    for one in report.kept.iter().filter(|one| one.number > 0 && !(with_definitions && one.what.contains('.'))) {
        stream::say(&format!("kept: {} {}", one.number, one.what));
    }
}
