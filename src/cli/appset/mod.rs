//! Commands about ApplicationSets.

mod answers;
pub mod generate;
pub mod get;
pub mod list;

use clap::Subcommand;
use kube::api::{Api, ApiResource, DynamicObject};
use serde_json::Value;

use super::{CommandResult, Context, Failure};
use crate::api::ApplicationSet;
use crate::appset::GENERATORS;

#[derive(Debug, Subcommand)]
pub(super) enum AppsetCommand {
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    Get(get::GetArgs),
    Generate(generate::GenerateArgs),
}

pub(super) async fn run(command: AppsetCommand, cx: &Context) -> CommandResult {
    match command {
        AppsetCommand::List(args) => list::run(args, cx).await,
        AppsetCommand::Get(args) => get::run(args, cx).await,
        AppsetCommand::Generate(args) => generate::run(args, cx).await,
    }
}

/// The API of ApplicationSets, in one namespace or all.
async fn api(cx: &Context, namespace: Option<&str>) -> Result<Api<DynamicObject>, Failure> {
    let (client, resource) = (cx.client().await?, ApiResource::erase::<ApplicationSet>(&()));
    Ok(match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    })
}

/// A text in an ApplicationSet, empty when it is not there.
fn text<'a>(set: &'a Value, pointer: &str) -> &'a str {
    set.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The status of a condition and its message.
fn condition<'a>(set: &'a Value, kind: &str) -> Option<(bool, &'a str)> {
    let conditions = set.pointer("/status/conditions")?.as_array()?;
    let found = conditions.iter().find(|one| one["type"] == kind)?;
    Some((found["status"] == "True", found["message"].as_str().unwrap_or_default()))
}

/// What stands in the way: an error, or deletions that wait.
fn trouble(set: &Value) -> &str {
    let holding = |kind| condition(set, kind).filter(|(holds, _)| *holds).map(|(_, message)| message);
    holding("ErrorOccurred").or_else(|| holding("DeletionHeld")).unwrap_or_default()
}

/// The generators, with those inside matrix and merge behind them.
fn generators(set: &Value) -> String {
    fn names(entries: &Value, into: &mut Vec<String>) {
        for entry in entries.as_array().into_iter().flatten().filter_map(Value::as_object) {
            for (key, section) in entry.iter().filter(|(key, _)| GENERATORS.iter().any(|generator| generator.key == *key)) {
                let mut inner = Vec::new();
                names(&section["generators"], &mut inner);
                into.push(if inner.is_empty() { key.clone() } else { format!("{key}({})", inner.join(",")) });
            }
        }
    }
    let mut all = Vec::new();
    names(&set["spec"]["generators"], &mut all);
    all.join(",")
}

/// The policy that the ApplicationSet chooses; the controller's when it chooses none.
fn policy(set: &Value) -> &str {
    match text(set, "/spec/syncPolicy/applicationsSync") {
        "" => "sync",
        policy => policy,
    }
}
