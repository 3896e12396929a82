//! `appset list`.

use clap::Args;
use kube::api::ListParams;
use serde_json::Value;

use super::{api, generators, policy, text, trouble};
use crate::cli::output::{Output, list_of, print_document};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::ui::table::Table;
use crate::ui::{age, stream};

/// List ApplicationSets.
///
/// Reads only. Without -A the namespace is -n, then GITOPS_NAMESPACE, then the control namespace.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops appset list -A")]
pub struct ListArgs {
    /// ApplicationSets whose labels match, for example team=shop
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// ApplicationSets in all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Print the table without headings
    #[arg(long)]
    no_headers: bool,
    /// Output format: wide, json, yaml or name
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_object)]
    output: Option<Output>,
}

/// Lists ApplicationSets.
///
/// # Errors
/// When the API server refuses.
pub async fn run(args: ListArgs, cx: &Context) -> CommandResult {
    let namespace = cx.application_namespace();
    let api = api(cx, (!args.all_namespaces).then_some(namespace.as_str())).await?;
    let params = ListParams { label_selector: args.selector.clone(), ..ListParams::default() };
    let found = api.list(&params).await.map_err(|error| cx.explain(&error, "list applicationsets"))?;
    let mut sets = Vec::new();
    for set in found.items {
        let mut set = serde_json::to_value(set).map_err(|error| Failure::new("cannot read the answer").with_cause(&error))?;
        set["apiVersion"] = "argoproj.io/v1alpha1".into();
        set["kind"] = "ApplicationSet".into();
        sets.push(set);
    }
    let output = args.output.unwrap_or_default();
    match output {
        Output::Json | Output::Yaml => print_document(output, &list_of(sets))?,
        Output::Name => {
            sets.iter().for_each(|set| stream::out(&format!("applicationset.argoproj.io/{}\n", text(set, "/metadata/name"))));
        }
        Output::Human | Output::Wide if sets.is_empty() => {
            let place = if args.all_namespaces { "any namespace".to_owned() } else { format!("{namespace} namespace") };
            stream::say(&format!("No applicationsets found in {place}."));
        }
        Output::Human | Output::Wide => {
            let table = table(&sets, output == Output::Wide, args.all_namespaces);
            stream::out(&table.render(stream::width(), !args.no_headers));
        }
    }
    Ok(Exit::Done)
}

fn table(sets: &[Value], wide: bool, full_names: bool) -> Table {
    let mut headings = vec!["NAME", "APPLICATIONS", "HEALTH", "GENERATORS", "POLICY", "AGE"];
    if wide {
        headings.extend(["PROJECT", "REPO", "PATH", "TARGET"]);
    }
    headings.push("MESSAGE");
    let mut table = Table::new(&headings);
    for set in sets {
        let name = text(set, "/metadata/name");
        let name = if full_names { format!("{}/{name}", text(set, "/metadata/namespace")) } else { name.to_owned() };
        let count = set.pointer("/status/resourcesCount").map(ToString::to_string).unwrap_or_default();
        let health = match text(set, "/status/health/status") {
            "" => "Unknown",
            health => health,
        };
        let created = set.pointer("/metadata/creationTimestamp").and_then(Value::as_str);
        let mut cells = vec![name, count, health.into(), generators(set), policy(set).into(), age::since(created, age::now())];
        if wide {
            let template = |field: &str| text(set, &format!("/spec/template/spec/{field}")).to_owned();
            cells.extend(["project", "source/repoURL", "source/path", "source/targetRevision"].map(template));
        }
        cells.push(trouble(set).to_owned());
        table.row(cells);
    }
    table
}
