//! `doctor`: what stands in the way, on this machine and in the cluster. Each section reads, and turns what it read into checks.

mod apps;
mod client;
mod cluster;
mod keys;
mod programs;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::output::{Output, Report, print_document};
use super::{CommandResult, Context, Exit};
use crate::ui::symbols::Symbols;
use crate::ui::{paint, stream, text};

/// Check this machine, the cluster and your rights, and say what to do about what is wrong.
///
/// Reads only. Ends with 1 when a check fails; a warning is no failure.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops doctor --section client")]
pub struct DoctorArgs {
    /// Only these sections
    #[arg(long, value_name = "SECTION", value_enum, value_delimiter = ',')]
    section: Vec<Section>,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

/// A group of checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Section {
    /// This machine: programs, kubeconfig, completion
    Client,
    /// The API server, the definitions, the controller, your rights
    Cluster,
    /// The sealing keys, their backups, the certificate
    Keys,
    /// Applications that the controller cannot compare
    Apps,
}

const ALL: &[Section] = &[Section::Client, Section::Cluster, Section::Keys, Section::Apps];

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// As it should be.
    Ok,
    /// Works, with a but.
    Warn,
    /// Something does not work.
    Fail,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// Stable name.
    id: &'static str,
    status: Status,
    /// What was found.
    message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Check {
    fn ok(id: &'static str, message: impl Into<String>) -> Self {
        Self { id, status: Status::Ok, message: message.into(), hint: None }
    }

    fn warn(id: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { id, status: Status::Warn, message: message.into(), hint: Some(hint.into()) }
    }

    fn fail(id: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { id, status: Status::Fail, message: message.into(), hint: Some(hint.into()) }
    }

    /// A request that failed, in the words that every command has for it.
    fn refused(id: &'static str, status: Status, failure: &super::Failure) -> Self {
        let first = failure.causes.first().map(|cause| format!(": {cause}")).unwrap_or_default();
        let more = failure.causes.len().saturating_sub(1);
        let causes = if more == 0 { first } else { format!("{first} (and {more} more reasons)") };
        Self { id, status, message: format!("{}{causes}", failure.what), hint: failure.hint.clone() }
    }
}

#[derive(Debug, Serialize)]
struct Examination {
    checks: Vec<Check>,
}

/// Runs the checks.
///
/// # Errors
/// Only when the answer cannot be written: what fails is a check that says so.
pub async fn run(args: DoctorArgs, cx: &Context) -> CommandResult {
    let wanted = |section: Section| args.section.is_empty() || args.section.contains(&section);
    let mut checks = Vec::new();
    let mut reachable = None;
    for section in ALL.iter().copied().filter(|section| wanted(*section)) {
        match section {
            Section::Client => checks.extend(client::check(cx).await),
            // Of a cluster that cannot be reached one failure is enough.
            _ => {
                let connected = match reachable {
                    Some(known) => known,
                    None => {
                        let (connected, found) = cluster::connect(cx).await;
                        checks.extend(found);
                        *reachable.insert(connected)
                    }
                };
                if connected {
                    checks.extend(in_cluster(section, cx).await);
                }
            }
        }
    }
    let fine = checks.iter().all(|check| check.status != Status::Fail);
    match args.output {
        Some(output) => print_document(output, &Report::new("DoctorReport", fine, Examination { checks }, Vec::new()))?,
        None => stream::out(&show(&checks)),
    }
    Ok(if fine { Exit::Done } else { Exit::No })
}

async fn in_cluster(section: Section, cx: &Context) -> Vec<Check> {
    match section {
        Section::Cluster => cluster::check(cx).await,
        Section::Keys => keys::check(cx).await,
        Section::Apps => apps::check(cx).await,
        Section::Client => Vec::new(),
    }
}

/// One line for each check; what needs a look comes last, with what to do.
fn show(checks: &[Check]) -> String {
    let symbols = Symbols::get();
    let mut sorted: Vec<&Check> = checks.iter().collect();
    sorted.sort_by_key(|check| check.status);
    let mut page = String::new();
    for check in sorted {
        let mark = match check.status {
            Status::Ok => paint::good(symbols.done),
            Status::Warn => paint::attention(symbols.attention),
            Status::Fail => paint::bad(symbols.failed),
        };
        page.push_str(&format!("{mark} {}: {}\n", check.id, text::clean(&check.message)));
        if let Some(hint) = &check.hint {
            page.push_str(&format!("    {} {}\n", paint::good("hint:"), text::clean(hint)));
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_read_last_and_says_what_to_do() {
        let checks = [
            Check::fail("crds", "Application is missing", "kubectl gitops install"),
            Check::ok("api", "v1.36"),
            Check::warn("backup", "none", "back up"),
        ];
        let text = anstream::adapter::strip_str(&show(&checks)).to_string();
        let order: Vec<&str> = text.lines().filter(|line| !line.starts_with("    ")).collect();
        assert!(order[0].contains("api") && order[1].contains("backup") && order[2].contains("crds"), "{text}");
        assert!(text.ends_with("hint: kubectl gitops install\n"), "{text}");
    }
}
