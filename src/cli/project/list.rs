//! `project list`.

use clap::Args;
use kube::api::ListParams;
use serde_json::Value;

use super::{api, decode};
use crate::api::appproject::KindRestriction;
use crate::cli::output::{Output, list_of, print_document};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::ui::stream;
use crate::ui::table::Table;

/// List AppProjects with what they permit.
///
/// Reads only.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops project list")]
pub struct ListArgs {
    /// Print the table without headings
    #[arg(long)]
    no_headers: bool,
    /// Output format: wide, json, yaml or name
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_object)]
    output: Option<Output>,
}

/// Lists AppProjects.
///
/// # Errors
/// When the API server refuses.
pub async fn run(args: ListArgs, cx: &Context) -> CommandResult {
    let found = api(cx).await?.list(&ListParams::default()).await.map_err(|error| cx.explain(&error, "list appprojects"))?;
    let mut projects = Vec::new();
    for project in found.items {
        let mut project =
            serde_json::to_value(project).map_err(|error| Failure::new("cannot read the answer").with_cause(&error))?;
        project["apiVersion"] = "argoproj.io/v1alpha1".into();
        project["kind"] = "AppProject".into();
        projects.push(project);
    }
    let output = args.output.unwrap_or_default();
    match output {
        Output::Json | Output::Yaml => print_document(output, &list_of(projects))?,
        Output::Name => {
            let name = |project: &Value| project["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            projects.iter().for_each(|project| stream::out(&format!("appproject.argoproj.io/{}\n", name(project))));
        }
        Output::Human | Output::Wide => {
            let mut table = Table::new(&["NAME", "SOURCES", "DESTINATIONS", "CLUSTER KINDS", "NAMESPACED KINDS", "DESCRIPTION"]);
            for project in &projects {
                table.row(cells(project)?);
            }
            stream::out(&table.render(stream::width(), !args.no_headers));
        }
    }
    Ok(Exit::Done)
}

fn cells(project: &Value) -> Result<Vec<String>, Failure> {
    let decoded = decode(project)?;
    let spec = &decoded.spec;
    let destinations = spec.destinations.iter().map(|one| {
        let cluster = if one.server.is_empty() { &one.name } else { &one.server };
        format!("{cluster},{}", one.namespace)
    });
    let namespaced = spec.namespace_resource_whitelist.as_deref();
    let denied = spec.namespace_resource_blacklist.len();
    Ok(vec![
        decoded.metadata.name.clone().unwrap_or_default(),
        few(spec.source_repos.iter().cloned()),
        few(destinations),
        few(spec.cluster_resource_whitelist.iter().map(kind)),
        match (namespaced, denied) {
            (None, 0) => "all".to_owned(),
            (None, denied) => format!("all but {denied}"),
            (Some(list), _) => few(list.iter().map(kind)),
        },
        project["spec"]["description"].as_str().unwrap_or_default().to_owned(),
    ])
}

pub(super) fn kind(one: &KindRestriction) -> String {
    if one.group.is_empty() { one.kind.clone() } else { format!("{}/{}", one.group, one.kind) }
}

/// One entry as it is, several as their number.
fn few(entries: impl Iterator<Item = String>) -> String {
    let entries: Vec<String> = entries.collect();
    match entries.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        more => format!("{} entries", more.len()),
    }
}
