//! `check diff`.

use std::path::PathBuf;

use clap::Args;

use super::input;
use crate::api::Application;
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::diff::{self, Rules, Verdict, object_diff};
use crate::ui::diff_view::{self, AppDiff};
use crate::ui::stream;

/// Say whether the controller would find a target and its live object different, without a cluster.
///
/// Ends with 0 when they are the same, 1 when they differ, 2 when it cannot run. Where the controller would ask the API server
/// (another spelling of a value, defaults within lists), a difference is assumed. Values of Secrets are not shown.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops check diff --target web.yaml --live live.yaml --app app.yaml")]
pub struct DiffArgs {
    /// File with the manifest; `-` is standard input
    #[arg(long, value_name = "FILE")]
    target: PathBuf,
    /// File with the live object
    #[arg(long, value_name = "FILE")]
    live: PathBuf,
    /// ConfigMap argocd-cm with differences to ignore
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Application with differences to ignore
    #[arg(long, value_name = "FILE")]
    app: Option<PathBuf>,
}

/// Compares with the controller's own functions.
///
/// # Errors
/// When a file cannot be read, or a rule of the kind cannot be used.
pub async fn run(args: DiffArgs, _cx: &Context) -> CommandResult {
    let (target, live) = (input::object(&args.target)?, input::object(&args.live)?);
    let customisations = input::customisations(args.config.as_deref())?;
    if let Some(problem) = customisations.problem_of(&target.group_kind()) {
        return Err(problem.clone().into());
    }
    // A manifest without a namespace goes where its live object is.
    let key = live.key();
    let ignored = match &args.app {
        Some(file) => {
            serde_json::from_value::<Application>(input::object(file)?.into_value())
                .map_err(|error| Failure::new(format!("{} is no Application", file.display())).with_cause(&error))?
                .spec
                .ignore_differences
        }
        None => Vec::new(),
    };
    let rules = Rules::of(&key, &ignored, &customisations);
    rules.check()?;
    let rules = rules.with_owners(&live);
    let mut target = target;
    if target.namespace().is_empty() {
        target.set_namespace(live.namespace());
    }
    if diff::compare_locally(&target, &live, &rules) == Verdict::Same {
        return Ok(Exit::Done);
    }
    let mut before = diff::normalise_live(&live, &rules);
    let mut after = diff::normalise_live(&diff::overlay(&live, &diff::normalise_target(&target)), &rules);
    after.set_namespace(live.namespace());
    rules.align(&mut after, &mut before);
    let object = object_diff(&key, Some(&before), Some(&after));
    let objects = object.into_iter().collect();
    let shown = AppDiff {
        app: key.to_string(),
        base: "live".to_owned(),
        revision: args.target.display().to_string(),
        objects,
        prunes: false,
    };
    stream::out(&diff_view::human(&shown));
    Ok(Exit::No)
}
