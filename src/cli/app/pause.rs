//! `pause` and `resume`: hold automatic syncs, and let them go on.

use std::time::Duration;

use clap::Args;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::cli::{CommandResult, Context, Exit, Failure, duration};
use crate::resource::annotations::HOLD;
use crate::sync::hold::{Hold, Kind};
use crate::ui::{age, paint, stream, symbols::Symbols};

use super::sync::initiator;
use super::{App, Selection, select};

/// Hold the automatic syncs of Applications.
///
/// Records who asked, since when, why and until when. Comparing goes on, and so do syncs that somebody asks for.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops pause web --for 2h --reason \"debugging the proxy\"")]
pub struct PauseArgs {
    #[command(flatten)]
    selection: Selection,
    /// How long; without it, until `resume`
    #[arg(long = "for", value_name = "DURATION", value_parser = duration::parse)]
    hold_for: Option<Duration>,
    /// Why, for those who find the pause
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// Let automatic syncs of Applications go on after `pause` or `rollback`.
///
/// What was rolled back is deployed again if the source still says so.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops resume web")]
pub struct ResumeArgs {
    #[command(flatten)]
    selection: Selection,
}

/// Pauses the chosen Applications.
///
/// # Errors
/// When the API server refuses.
pub async fn pause(args: PauseArgs, cx: &Context) -> CommandResult {
    let apps = args.selection.read_some(cx).await?;
    let now = age::now();
    let hold = Hold {
        kind: Kind::Pause,
        by: initiator(cx).await,
        at: Some(now),
        reason: args.reason,
        until: args.hold_for.and_then(|length| now.checked_add(length).ok()),
        revisions: Vec::new(),
    };
    for app in apps {
        set(cx, &app, json!(hold.to_annotation())).await?;
        let until = hold.until.map(|until| format!(" until {}", until.strftime("%Y-%m-%dT%H:%M:%SZ"))).unwrap_or_default();
        stream::out(&format!("{} {} paused{until}\n", paint::good(Symbols::get().done), app.name()));
    }
    Ok(Exit::Done)
}

/// Resumes the chosen Applications.
///
/// # Errors
/// When the API server refuses.
pub async fn resume(args: ResumeArgs, cx: &Context) -> CommandResult {
    for app in args.selection.read_some(cx).await? {
        if app.app.annotation(HOLD).is_none() {
            stream::say(&format!("{} is not held", app.name()));
            continue;
        }
        set(cx, &app, Value::Null).await?;
        stream::out(&format!("{} {} resumed\n", paint::good(Symbols::get().done), app.name()));
    }
    Ok(Exit::Done)
}

async fn set(cx: &Context, app: &App, value: Value) -> Result<(), Failure> {
    let reference = app.reference();
    let change = json!({ "metadata": { "annotations": { HOLD: value } } });
    let api = select::api(cx.client().await?, &reference.namespace);
    match api.patch(&reference.name, &PatchParams::default(), &Patch::Merge(change)).await {
        Ok(_) => Ok(()),
        Err(error) => Err(cx.explain(&error, &format!("change application {:?} in {:?}", reference.name, reference.namespace))),
    }
}
