//! `app delete`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::json;
use tokio::time::Instant;

use super::create::FIELD_MANAGER;
use super::follow::{Change, Follower, next_before};
use super::{App, AppRef, select};
use crate::cli::{CommandResult, Context, Exit, Failure, duration};
use crate::resource::annotations::{RESOURCES_FINALIZER, RESOURCES_FINALIZER_BACKGROUND, RESOURCES_FINALIZER_FOREGROUND};
use crate::ui::{confirm, paint, stream, symbols::Symbols};

/// More objects than this are not deleted by the way.
const FEW: usize = 10;
/// Kinds whose deletion loses data.
const PRECIOUS: &[&str] = &["Namespace", "PersistentVolumeClaim", "PersistentVolume", "CustomResourceDefinition"];
/// Finalizers with which the controller deletes the objects first.
const CASCADING: &[&str] = &[RESOURCES_FINALIZER, RESOURCES_FINALIZER_FOREGROUND, RESOURCES_FINALIZER_BACKGROUND];

/// Delete Applications, with their objects or without.
///
/// The objects are deleted by the controller, highest wave first. --cascade=false leaves them in the cluster as they are.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops app delete web --cascade=false")]
pub struct DeleteArgs {
    /// Applications, as NAME or NAMESPACE/NAME
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Whether their objects are deleted as well
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value = "true", hide_possible_values = true)]
    cascade: bool,
    /// How objects are deleted that others depend on
    #[arg(short, long, value_name = "POLICY", default_value = "foreground")]
    propagation_policy: Propagation,
    /// Do not ask
    #[arg(short, long, alias = "assumeYes")]
    yes: bool,
    /// Whether to wait until they are gone
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value = "true", hide_possible_values = true)]
    wait: bool,
    /// How long to wait; a negative one means a week. The deletion goes on in any case
    #[arg(long, value_name = "DURATION", default_value = "5m", allow_negative_numbers = true, value_parser = duration::parse_limit)]
    timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Propagation {
    /// Dependants first
    Foreground,
    /// Dependants afterwards
    Background,
}

impl Propagation {
    const fn finalizer(self) -> &'static str {
        match self {
            Self::Foreground => RESOURCES_FINALIZER,
            Self::Background => RESOURCES_FINALIZER_BACKGROUND,
        }
    }
}

/// Deletes.
///
/// # Errors
/// When nobody can be asked, or the API server refuses. What was deleted before is named on standard output.
pub async fn run(args: DeleteArgs, cx: &Context) -> CommandResult {
    let mut apps = Vec::new();
    for name in &args.names {
        apps.push(select::get(cx, &AppRef::parse(name, cx)?).await?);
    }
    for app in &apps {
        stream::say(&summary(app, args.cascade));
    }
    if !args.yes && !agreed(&apps, args.cascade)? {
        return Ok(Exit::No);
    }
    for app in &apps {
        delete(cx, app, &args).await?;
    }
    let gone: BTreeSet<AppRef> = apps.iter().map(App::reference).collect();
    if !args.wait {
        gone.iter().for_each(|app| stream::out(&format!("{app} is being deleted\n")));
        return Ok(Exit::Done);
    }
    wait(cx, gone, args.timeout).await
}

/// What goes: `web: 2 Deployments, 1 Service`.
fn summary(app: &App, cascade: bool) -> String {
    if !cascade {
        return format!("{}: its objects stay in the cluster", app.full_name());
    }
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for kind in app.status().iter().flat_map(|status| &status.resources).map(|one| one.kind.as_str()) {
        *kinds.entry(kind).or_default() += 1;
    }
    let counts: Vec<String> = kinds.iter().map(|(kind, number)| format!("{number} {kind}")).collect();
    let all = if counts.is_empty() { "no objects".to_owned() } else { counts.join(", ") };
    format!("{}: {all} will be deleted", app.full_name())
}

/// True when losing it would hurt: many objects, or some that hold data.
fn is_much(app: &App) -> bool {
    let resources = app.status().map(|status| status.resources.as_slice()).unwrap_or_default();
    resources.len() > FEW || resources.iter().any(|one| PRECIOUS.contains(&one.kind.as_str()))
}

fn agreed(apps: &[App], cascade: bool) -> Result<bool, Failure> {
    if !confirm::can_ask() {
        let names = apps.iter().map(App::full_name).collect::<Vec<_>>().join(", ");
        return Err(Failure::new(format!("refusing to delete {names} without --yes")).with_hint("add --yes"));
    }
    let failed = |error: std::io::Error| Failure::new("cannot read the answer").with_cause(&error);
    for app in apps {
        let sure = if cascade && is_much(app) {
            confirm::ask_for(
                &format!("Type the name of the application to delete it with its objects ({}):", app.name()),
                app.name(),
            )
        } else {
            confirm::ask(&format!("Delete {}?", app.full_name()))
        };
        if !sure.map_err(failed)? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn delete(cx: &Context, app: &App, args: &DeleteArgs) -> Result<(), Failure> {
    let reference = app.reference();
    let api = select::api(cx.client().await?, &reference.namespace);
    let explain = |error: kube::Error| cx.explain(&error, &format!("delete application {reference}"));
    let before = app.app.metadata.finalizers.clone().unwrap_or_default();
    let wanted = finalizers(&before, args.cascade, args.propagation_policy);
    if wanted != before {
        let patch = json!({ "metadata": { "finalizers": wanted, "resourceVersion": app.app.metadata.resource_version } });
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        api.patch(&reference.name, &parameters, &Patch::Merge(patch)).await.map_err(explain)?;
    }
    // Another one of the same name, made meanwhile, is not meant.
    let preconditions = Preconditions { uid: app.app.metadata.uid.clone(), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match api.delete(&reference.name, &parameters).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(explain(error)),
    }
}

/// The finalizers with which it is deleted as asked for; those of others stay.
fn finalizers(before: &[String], cascade: bool, propagation: Propagation) -> Vec<String> {
    let mut wanted: Vec<String> = before.iter().filter(|one| !CASCADING.contains(&one.as_str())).cloned().collect();
    if cascade {
        wanted.push(propagation.finalizer().to_owned());
    }
    wanted
}

async fn wait(cx: &Context, mut waiting: BTreeSet<AppRef>, limit: Duration) -> CommandResult {
    let names = waiting.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    cx.when_interrupted(Some(format!("still being deleted: kubectl gitops wait {names} --for deleted")));
    let mut follower = Follower::these(cx, waiting.clone()).await?;
    let deadline = Some(Instant::now() + limit);
    while !waiting.is_empty() {
        match next_before(&mut follower, cx, deadline).await? {
            None => {
                let left = waiting.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                return Err(Failure::new(format!("{left} is still there after {limit:?}"))
                    .with_hint("kubectl gitops app get NAME shows what it waits for")
                    .with_exit(Exit::TimedOut));
            }
            Some(Change::Gone(app)) if waiting.remove(&app) => {
                stream::out(&format!("{} application {app} deleted\n", paint::good(Symbols::get().done)));
            }
            Some(_) => {}
        }
    }
    cx.when_interrupted(None);
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::model::tests::app;
    use super::*;

    #[test]
    fn finalizers_say_whether_objects_go_and_those_of_others_stay() {
        let before = ["example.com/mine".to_owned(), RESOURCES_FINALIZER.to_owned()];
        let with = |cascade, propagation| finalizers(&before, cascade, propagation);
        assert_eq!(with(false, Propagation::Foreground), ["example.com/mine"]);
        assert_eq!(with(true, Propagation::Foreground), before);
        assert_eq!(with(true, Propagation::Background), ["example.com/mine", RESOURCES_FINALIZER_BACKGROUND]);
    }

    #[test]
    fn data_and_many_objects_are_much() {
        let with = |kinds: &[&str]| {
            let resources: Vec<_> = kinds.iter().map(|kind| json!({"kind": kind, "name": "x", "version": "v1"})).collect();
            app(json!({"status": {"resources": resources}}))
        };
        assert!(!is_much(&with(&["ConfigMap", "Service"])));
        assert!(is_much(&with(&["PersistentVolumeClaim"])) && is_much(&with(&["ConfigMap"; 11])));
        assert_eq!(
            summary(&with(&["Service", "ConfigMap", "Service"]), true),
            "argocd/web: 1 ConfigMap, 2 Service will be deleted"
        );
    }
}
