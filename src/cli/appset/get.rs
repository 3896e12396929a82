//! `appset get`.

use std::fmt::Write;

use clap::Args;
use serde_json::Value;

use super::{api, generators, policy, text};
use crate::cli::output::{Output, print_document};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::ui::table::Table;
use crate::ui::{age, paint, stream, text as ui_text};

/// Show one ApplicationSet: its generators, its conditions and its Applications.
///
/// Reads only. -o json and -o yaml print the object as the API server holds it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops appset get guestbook")]
pub struct GetArgs {
    /// The ApplicationSet, as NAME or NAMESPACE/NAME
    name: String,
    /// Output format: wide, json, yaml or name
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_object)]
    output: Option<Output>,
}

/// Shows one ApplicationSet.
///
/// # Errors
/// When it does not exist or the API server refuses.
pub async fn run(args: GetArgs, cx: &Context) -> CommandResult {
    let own = cx.application_namespace();
    let (namespace, name) = args.name.split_once('/').unwrap_or((&own, &args.name));
    let found = api(cx, Some(namespace)).await?.get_opt(name).await;
    let found = found.map_err(|error| cx.explain(&error, &format!("read applicationset {name:?} in {namespace:?}")))?;
    let Some(set) = found else {
        let failure = Failure::new(format!("applicationset {name:?} not found in {namespace:?}"));
        return Err(failure.with_hint("kubectl gitops appset list -A"));
    };
    let set = serde_json::to_value(set).map_err(|error| Failure::new("cannot read the answer").with_cause(&error))?;
    let output = args.output.unwrap_or_default();
    match output {
        Output::Json | Output::Yaml => print_document(output, &set)?,
        Output::Name => stream::out(&format!("applicationset.argoproj.io/{name}\n")),
        Output::Human | Output::Wide => stream::out(&describe(&set)),
    }
    Ok(Exit::Done)
}

fn describe(set: &Value) -> String {
    let mut page = String::new();
    let mut fact = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(page, "{name:<14}{value}");
        }
    };
    let clean = |pointer: &str| ui_text::clean(text(set, pointer));
    fact("Name:", &format!("{}/{}", clean("/metadata/namespace"), clean("/metadata/name")));
    fact("Generators:", &ui_text::clean(&generators(set)));
    fact("Policy:", policy(set));
    fact("Strategy:", &clean("/spec/strategy/type"));
    fact("Health:", &paint::status(&clean("/status/health/status")));
    fact("Applications:", &set.pointer("/status/resourcesCount").map(ToString::to_string).unwrap_or_default());
    page + &conditions(set) + &applications(set)
}

fn conditions(set: &Value) -> String {
    let mut table = Table::new(&["CONDITION", "STATUS", "AGE", "MESSAGE"]);
    for one in set.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten() {
        let field = |name: &str| ui_text::clean(one[name].as_str().unwrap_or_default());
        let age = age::since(one["lastTransitionTime"].as_str(), age::now());
        table.row(vec![field("type"), field("status"), age, field("message")]);
    }
    below(&table)
}

fn applications(set: &Value) -> String {
    let steps = set.pointer("/status/applicationStatus").and_then(Value::as_array);
    let step_of = |name: &str| {
        let found = steps?.iter().find(|one| one["application"] == name)?;
        Some((found["step"].as_str()?.to_owned(), found["status"].as_str()?.to_owned()))
    };
    let mut headings = vec!["APPLICATION", "SYNC", "HEALTH"];
    if steps.is_some() {
        headings.extend(["STEP", "ROLLOUT"]);
    }
    let mut table = Table::new(&headings);
    for one in set.pointer("/status/resources").and_then(Value::as_array).into_iter().flatten() {
        let name = one["name"].as_str().unwrap_or_default();
        let mut cells =
            vec![name, text(one, "/status"), text(one, "/health/status")].into_iter().map(str::to_owned).collect::<Vec<_>>();
        if steps.is_some() {
            let (step, state) = step_of(name).unwrap_or_default();
            cells.extend([step, state]);
        }
        table.row(cells);
    }
    below(&table)
}

fn below(table: &Table) -> String {
    if table.is_empty() { String::new() } else { format!("\n{}", table.render(stream::width(), true)) }
}
