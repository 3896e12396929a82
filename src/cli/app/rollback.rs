//! `rollback`: syncs to what an earlier sync deployed.

use std::time::Duration;

use clap::{ArgAction, Args};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::sync::{initiator, watch_and_finish};
use super::{App, AppRef, select};
use crate::api::Application;
use crate::api::application::{Operation, OperationInitiator, RevisionHistory, SyncOperation, SyncStrategy, SyncStrategyOptions};
use crate::cli::output::Output;
use crate::cli::{CommandResult, Context, Exit, Failure, duration};
use crate::ui::stream;

/// Go back to what an earlier sync deployed.
///
/// Applies the source, options and revision that the history holds, without hooks. Automated sync would undo it at once, so it is
/// refused while that is on, unless --pause-auto switches it off.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops rollback web 3 --pause-auto")]
pub struct RollbackArgs {
    /// The Application, as NAME or NAMESPACE/NAME
    name: String,
    /// ID of the history; the sync before the last one when absent
    id: Option<i64>,
    /// Delete objects that the earlier source does not have
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value = "false", hide_default_value = true, hide_possible_values = true)]
    prune: bool,
    /// Switch automated sync off; kubectl gitops app set NAME --auto switches it on again
    #[arg(long)]
    pause_auto: bool,
    /// Only check, in the controller and the API server
    #[arg(long)]
    dry_run: bool,
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

/// Rolls back.
///
/// # Errors
/// When the history has no such entry, automated sync is on, another operation runs, or the API server refuses.
pub async fn run(args: RollbackArgs, cx: &Context) -> CommandResult {
    const ATTEMPTS: usize = 10;
    let reference = AppRef::parse(&args.name, cx)?;
    let who = initiator(cx).await;
    let api = select::api(cx.client().await?, &reference.namespace);
    for _ in 0..ATTEMPTS {
        let app = select::get(cx, &reference).await?;
        if let Some(reason) = &app.unreadable {
            return Err(Failure::new(format!("{}: {reason}", app.name())));
        }
        super::sync::refuse_when_busy(&app.app)?;
        let entry = chosen(&app, args.id)?;
        refuse_automated(&app.app, args.pause_auto)?;
        let patch = patch(&app.app, entry, &args, &who);
        match api.patch(&reference.name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(object) => {
                let at = super::revisions(&entry.revision, &entry.revisions);
                stream::say(&format!("{reference} goes back to {at}, deployed at {} (ID {})", entry.deployed_at, entry.id));
                if args.r#async {
                    return Ok(Exit::Done);
                }
                let started = [(reference, App::from(object))].into();
                return watch_and_finish(cx, started, args.timeout, args.dry_run, args.output).await;
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(cx.explain(&error, &format!("roll back application {reference}"))),
        }
    }
    Err(Failure::new(format!("{reference} changes too fast to be rolled back")).with_hint("try again"))
}

/// The entry of the history with this ID, or the one before the last.
fn chosen(app: &App, id: Option<i64>) -> Result<&RevisionHistory, Failure> {
    let history = app.status().map(|status| status.history.as_slice()).unwrap_or_default();
    let found = match id {
        Some(id) => history.iter().find(|entry| entry.id == id),
        None => history.len().checked_sub(2).and_then(|index| history.get(index)),
    };
    found.ok_or_else(|| {
        let what = id.map_or_else(|| "no sync before the last one".to_owned(), |id| format!("no sync with ID {id}"));
        let known: Vec<String> = history
            .iter()
            .map(|entry| format!("{} ({})", entry.id, super::revisions(&entry.revision, &entry.revisions)))
            .collect();
        let known = if known.is_empty() { "it has none".to_owned() } else { known.join(", ") };
        Failure::new(format!("the history of {} holds {what}", app.full_name()))
            .with_hint(format!("kept are: {known}; spec.revisionHistoryLimit says how many"))
    })
}

fn refuse_automated(app: &Application, pause: bool) -> Result<(), Failure> {
    if app.automated().is_none() || pause {
        return Ok(());
    }
    let name = app.name();
    Err(Failure::new(format!("{name} syncs automatically; git would undo the rollback"))
        .with_hint(format!("kubectl gitops rollback {name} --pause-auto, or revert the commit in Git")))
}

/// The patch that requests it; it applies only to the object as it was read.
///
/// Source: Argo CD 3.5, rollback of its API server: the source of the history, strategy `apply`, the sync options of the spec.
fn patch(app: &Application, entry: &RevisionHistory, args: &RollbackArgs, who: &str) -> Value {
    let policy = app.spec.sync_policy.as_ref();
    let operation = Operation {
        sync: Some(SyncOperation {
            revision: entry.revision.clone(),
            revisions: entry.revisions.clone(),
            source: entry.source.clone().filter(|_| entry.sources.is_empty()),
            sources: entry.sources.clone(),
            prune: args.prune,
            dry_run: args.dry_run,
            sync_options: policy.map(|policy| policy.sync_options.clone()).unwrap_or_default(),
            sync_strategy: Some(SyncStrategy { apply: Some(SyncStrategyOptions::default()), hook: None }),
            ..SyncOperation::default()
        }),
        initiated_by: Some(OperationInitiator { username: who.to_owned(), automated: false }),
        ..Operation::default()
    };
    let mut patch = super::sync::request_patch(app, &operation);
    if app.automated().is_some() && args.pause_auto && !args.dry_run {
        patch["spec"] = json!({ "syncPolicy": { "automated": { "enabled": false } } });
    }
    patch
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::model::tests::app;
    use super::*;

    fn entry(id: i64, revision: &str) -> Value {
        json!({"id": id, "revision": revision, "deployedAt": "2026-11-01T00:00:00Z", "source": {"repoURL": "u", "path": "old"}})
    }

    fn args(pause_auto: bool) -> RollbackArgs {
        RollbackArgs {
            name: "web".into(),
            id: None,
            prune: false,
            pause_auto,
            dry_run: false,
            r#async: false,
            timeout: Duration::ZERO,
            output: None,
        }
    }

    #[test]
    fn the_entry_before_the_last_one_is_meant_unless_an_id_is_given() {
        let app = app(json!({"status": {"history": [entry(3, "a"), entry(4, "b"), entry(5, "c")]}}));
        assert_eq!(chosen(&app, None).unwrap().id, 4);
        assert_eq!(chosen(&app, Some(3)).unwrap().id, 3);
        let failure = chosen(&app, Some(1)).unwrap_err();
        assert!(failure.what.contains("no sync with ID 1") && failure.hint.unwrap().contains("3 (a), 4 (b), 5 (c)"));
        let once = super::super::model::tests::app(json!({"status": {"history": [entry(1, "a")]}}));
        assert!(chosen(&once, None).is_err());
    }

    #[test]
    fn the_old_source_is_applied_without_hooks_and_auto_sync_is_paused_when_asked() {
        let app = app(json!({"status": {"history": [entry(3, "abc"), entry(4, "b")]},
            "spec": {"destination": {}, "source": {"repoURL": "u", "path": "new"},
                "syncPolicy": {"automated": {"prune": true}, "syncOptions": ["CreateNamespace=true"]}}}));
        assert!(refuse_automated(&app.app, false).unwrap_err().what.contains("git would undo"));
        refuse_automated(&app.app, true).unwrap();
        let patch = patch(&app.app, chosen(&app, None).unwrap(), &args(true), "ann");
        let sync = &patch["operation"]["sync"];
        assert_eq!(sync["revision"], "abc");
        assert_eq!(sync["source"]["path"], "old");
        assert_eq!(sync["syncStrategy"], json!({"apply": {}}));
        assert_eq!(sync["syncOptions"], json!(["CreateNamespace=true"]));
        assert_eq!(patch["spec"], json!({"syncPolicy": {"automated": {"enabled": false}}}));
        assert_eq!(patch["operation"]["initiatedBy"]["username"], "ann");
    }
}
