//! `project get`.

use std::fmt::Write;

use clap::Args;
use serde_json::Value;

use super::list::kind;
use super::{decode, read};
use crate::cli::output::{Output, print_document};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::ui::{stream, text};

/// Show what one AppProject permits, entry by entry.
///
/// Reads only. -o json and -o yaml print the object as the API server holds it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops project get shop")]
pub struct GetArgs {
    /// The AppProject
    name: String,
    /// Output format: wide, json, yaml or name
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_object)]
    output: Option<Output>,
}

/// Shows one AppProject.
///
/// # Errors
/// When it does not exist or the API server refuses.
pub async fn run(args: GetArgs, cx: &Context) -> CommandResult {
    let project = read(&args.name, cx).await?;
    let output = args.output.unwrap_or_default();
    match output {
        Output::Json | Output::Yaml => print_document(output, &project)?,
        Output::Name => stream::out(&format!("appproject.argoproj.io/{}\n", args.name)),
        Output::Human | Output::Wide => stream::out(&describe(&project)?),
    }
    Ok(Exit::Done)
}

fn describe(project: &Value) -> Result<String, Failure> {
    let decoded = decode(project)?;
    let spec = &decoded.spec;
    let mut page = String::new();
    let mut section = |heading: &str, entries: Vec<String>, none: &str| {
        let entries = if entries.is_empty() { vec![none.to_owned()] } else { entries };
        for (index, entry) in entries.iter().filter(|entry| !entry.is_empty()).enumerate() {
            let _ = writeln!(page, "{:<20}{}", if index == 0 { heading } else { "" }, text::clean(entry));
        }
    };
    section("Name:", vec![decoded.metadata.name.clone().unwrap_or_default()], "");
    section("Description:", vec![project["spec"]["description"].as_str().unwrap_or_default().to_owned()], "");
    section("Sources:", spec.source_repos.clone(), "none");
    let destinations = spec.destinations.iter().map(|one| {
        let fields = [("server", &one.server), ("name", &one.name), ("namespace", &one.namespace)];
        let written = fields.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name} {value}"));
        written.collect::<Vec<_>>().join(", ")
    });
    section("Destinations:", destinations.collect(), "none");
    section("Cluster kinds:", spec.cluster_resource_whitelist.iter().map(kind).collect(), "none");
    section("  but not:", spec.cluster_resource_blacklist.iter().map(kind).collect(), "");
    match &spec.namespace_resource_whitelist {
        None => section("Namespaced kinds:", vec!["all".into()], ""),
        Some(list) => section("Namespaced kinds:", list.iter().map(kind).collect(), "none"),
    }
    section("  but not:", spec.namespace_resource_blacklist.iter().map(kind).collect(), "");
    section("App namespaces:", spec.source_namespaces.clone(), "the control namespace only");
    Ok(page)
}
