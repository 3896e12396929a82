//! `rollback`: brings back what an earlier sync deployed.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{ArgAction, Args};
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::api::Application;
use crate::api::application::{Operation, OperationInitiator, RevisionHistory, SyncOperation, SyncStrategy, SyncStrategyOptions};
use crate::cli::output::Output;
use crate::cli::{CommandResult, Context, Exit, Failure, duration};
use crate::resource::annotations::HOLD;
use crate::sync::hold::{Hold, Kind};
use crate::ui::{age, stream};

use super::model::revisions;
use super::sync::{initiator, refuse_when_busy, request_patch, watch_and_finish};
use super::{App, AppRef, select, wait};

/// How long an operation that is ended for the rollback may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bring back what an earlier sync deployed.
///
/// Without an ID it is the sync before the last one. Where the Application syncs by itself, automatic syncs are held, so that Git
/// does not undo the rollback; the hold ends by itself at the next revision after the bad one, or with `resume`. A sync that runs
/// by itself is ended first. Hooks are not run.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops rollback web --reason \"checkout answers 500\"")]
pub struct RollbackArgs {
    /// The Application, as NAME or NAMESPACE/NAME
    name: String,
    /// Which sync, as `history` counts them
    #[arg(allow_negative_numbers = true)]
    id: Option<i64>,
    /// Delete objects that the earlier state did not have
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value = "false", hide_default_value = true, hide_possible_values = true)]
    prune: bool,
    /// Accepted and not needed: automatic syncs are held anyway
    #[arg(long, hide = true)]
    pause_auto: bool,
    /// Only check, in the controller and the API server
    #[arg(long)]
    dry_run: bool,
    /// Why, for those who find the hold
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// How long automatic syncs are held at most
    #[arg(long = "for", value_name = "DURATION", value_parser = duration::parse)]
    hold_for: Option<Duration>,
    /// Do not wait for the end
    #[arg(long)]
    r#async: bool,
    /// How long to watch; a negative one means a week. The operation goes on in any case
    #[arg(long, value_name = "DURATION", default_value = "5m", allow_negative_numbers = true, value_parser = duration::parse_limit)]
    timeout: Duration,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

/// Requests the rollback and watches it.
///
/// # Errors
/// When there is no such sync, something else runs, or the API server refuses.
pub async fn run(args: RollbackArgs, cx: &Context) -> CommandResult {
    let reference = AppRef::parse(&args.name, cx)?;
    let app = select::get(cx, &reference).await?;
    if let Some(reason) = &app.unreadable {
        return Err(Failure::new(format!("{}: {reason}", app.name())));
    }
    let history = app.status().map(|status| status.history.as_slice()).unwrap_or_default();
    let entry = choose(&app.full_name(), history, args.id)?.clone();
    let by = initiator(cx).await;
    let hold = if args.dry_run { None } else { hold(&app.app, &by, &args.reason, args.hold_for, age::now()) };
    let app = ended_automation(cx, app, hold.as_ref()).await?;
    let operation = operation(&app.app, &entry, args.prune, args.dry_run, &by);
    refuse_when_busy(&app.app)?;
    let app = write(cx, &reference, patch(&app.app, &operation, hold.as_ref()), "roll back").await?;
    tell(&app, &entry, hold.as_ref());
    if args.r#async {
        stream::say(&format!("rollback requested for {reference}; kubectl gitops wait {reference} --for operation"));
        return Ok(Exit::Done);
    }
    watch_and_finish(cx, BTreeMap::from([(reference, app)]), args.timeout, args.dry_run, args.output).await
}

fn tell(app: &App, entry: &RevisionHistory, hold: Option<&Hold>) {
    let to = revisions(&entry.revision, &entry.revisions);
    stream::say(&format!("rolling {} back to sync {} at {to}", app.name(), entry.id));
    if hold.is_some() {
        let name = app.name();
        stream::say(&format!("auto-sync is held until a revision after the bad one is there; now: kubectl gitops resume {name}"));
    }
}

/// The sync to go back to: the one before the last, or that with the number.
fn choose<'a>(name: &str, history: &'a [RevisionHistory], id: Option<i64>) -> Result<&'a RevisionHistory, Failure> {
    let found = match id {
        Some(id) => history.iter().find(|entry| entry.id == id),
        None => history.iter().rev().nth(1),
    };
    found.ok_or_else(|| {
        let what = id.map_or_else(|| "no sync before the last one".to_owned(), |id| format!("no sync with ID {id}"));
        let kept = |entry: &RevisionHistory| format!("{} ({})", entry.id, revisions(&entry.revision, &entry.revisions));
        let kept = history.iter().map(kept).collect::<Vec<_>>().join(", ");
        let kept = if kept.is_empty() { "it has none" } else { &kept };
        Failure::new(format!("the history of {name} holds {what}"))
            .with_hint(format!("kept are: {kept}; spec.revisionHistoryLimit says how many"))
    })
}

/// Where nobody syncs by itself there is nothing to hold.
fn hold(app: &Application, by: &str, reason: &str, length: Option<Duration>, now: Timestamp) -> Option<Hold> {
    app.automated()?;
    let compared = app.status.as_ref().and_then(|status| status.sync.as_ref());
    let revisions =
        compared.map(|sync| if sync.revisions.is_empty() { vec![sync.revision.clone()] } else { sync.revisions.clone() });
    Some(Hold {
        kind: Kind::Rollback,
        by: by.to_owned(),
        at: Some(now),
        reason: reason.to_owned(),
        until: length.and_then(|length| now.checked_add(length).ok()),
        revisions: revisions.unwrap_or_default(),
    })
}

/// Source: Argo CD 3.5 (reference section 2.2); hooks are left out.
fn operation(app: &Application, entry: &RevisionHistory, prune: bool, dry_run: bool, by: &str) -> Operation {
    let options = app.spec.sync_policy.as_ref().map(|policy| policy.sync_options.clone()).unwrap_or_default();
    Operation {
        sync: Some(SyncOperation {
            revision: entry.revision.clone(),
            revisions: entry.revisions.clone(),
            source: entry.source.clone(),
            sources: entry.sources.clone(),
            prune,
            dry_run,
            sync_options: options,
            sync_strategy: Some(SyncStrategy { apply: Some(SyncStrategyOptions::default()), hook: None }),
            ..SyncOperation::default()
        }),
        initiated_by: Some(OperationInitiator { username: by.to_owned(), automated: false }),
        ..Operation::default()
    }
}

/// Request and hold in one write: in between, nobody may sync.
fn patch(app: &Application, operation: &Operation, hold: Option<&Hold>) -> Value {
    let mut patch = request_patch(app, operation);
    if let Some(hold) = hold {
        patch["metadata"]["annotations"] = json!({ HOLD: hold.to_annotation() });
    }
    patch
}

/// Ends a sync that runs by itself, with the hold in place so that no other begins. Other operations stay.
async fn ended_automation(cx: &Context, app: App, hold: Option<&Hold>) -> Result<App, Failure> {
    let state = app.operation_state().filter(|_| app.app.operation.is_some());
    let automated = state.and_then(|state| state.operation.initiated_by.as_ref()).is_some_and(|who| who.automated);
    let Some(hold) = hold.filter(|_| automated) else { return Ok(app) };
    let reference = app.reference();
    stream::say(&format!("ending the sync of {} that runs by itself", app.name()));
    let change = json!({
        "metadata": { "annotations": { HOLD: hold.to_annotation() } },
        "status": { "operationState": { "phase": "Terminating" } },
    });
    write(cx, &reference, change, "end the running sync of").await?;
    wait::until_idle(cx, &reference, PATIENCE).await
}

async fn write(cx: &Context, reference: &AppRef, change: Value, what: &str) -> Result<App, Failure> {
    let api = select::api(cx.client().await?, &reference.namespace);
    match api.patch(&reference.name, &PatchParams::default(), &Patch::Merge(change)).await {
        Ok(object) => Ok(App::from(object)),
        Err(kube::Error::Api(status)) if status.code == 409 => {
            Err(Failure::new(format!("{reference} changed meanwhile")).with_hint("try again"))
        }
        Err(error) => Err(cx.explain(&error, &format!("{what} application {:?} in {:?}", reference.name, reference.namespace))),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn app(policy: &Value) -> Application {
        let entry = |id: i64| {
            json!({ "id": id, "revision": format!("r{id}"), "deployedAt": "2026-01-01T00:00:00Z",
            "source": { "repoURL": "https://git/web", "path": format!("v{id}") } })
        };
        serde_json::from_value(json!({ "metadata": { "name": "web", "namespace": "argocd", "resourceVersion": "7" },
            "spec": { "syncPolicy": policy },
            "status": { "history": [entry(3), entry(4), entry(5)], "sync": { "status": "Synced", "revision": "r5" } } }))
        .unwrap()
    }

    #[test]
    fn without_a_number_it_is_the_sync_before_the_last() {
        let app = app(&json!({}));
        let history = &app.status.as_ref().unwrap().history;
        assert_eq!(choose("web", history, None).unwrap().id, 4);
        assert_eq!(choose("web", history, Some(3)).unwrap().id, 3);
        assert_eq!(choose("web", history, Some(9)).unwrap_err().what, "the history of web holds no sync with ID 9");
        assert_eq!(choose("web", &history[..1], None).unwrap_err().what, "the history of web holds no sync before the last one");
    }

    #[test]
    fn the_request_is_that_of_the_entry_and_carries_the_hold() {
        let automated = app(&json!({ "automated": {}, "syncOptions": ["CreateNamespace=true"] }));
        let now = "2026-01-01T10:00:00Z".parse().unwrap();
        let hold = hold(&automated, "ann", "broken", Some(Duration::from_secs(3600)), now);
        let entry = &automated.status.as_ref().unwrap().history[1];
        let patch = patch(&automated, &operation(&automated, entry, true, false, "ann"), hold.as_ref());
        let expected = json!({ "initiatedBy": { "username": "ann" }, "sync": { "prune": true, "revision": "r4",
            "source": { "repoURL": "https://git/web", "path": "v4" }, "syncOptions": ["CreateNamespace=true"],
            "syncStrategy": { "apply": {} } } });
        assert_eq!(patch["operation"], expected);
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        let written: Hold = serde_json::from_str(patch["metadata"]["annotations"][HOLD].as_str().unwrap()).unwrap();
        assert_eq!((written.revisions, written.until), (vec!["r5".to_owned()], Some("2026-01-01T11:00:00Z".parse().unwrap())));
    }

    #[test]
    fn where_nobody_syncs_by_itself_nothing_is_held() {
        assert_eq!(hold(&app(&json!({})), "ann", "", None, Timestamp::UNIX_EPOCH), None);
        assert_eq!(hold(&app(&json!({ "automated": { "enabled": false } })), "ann", "", None, Timestamp::UNIX_EPOCH), None);
    }
}
