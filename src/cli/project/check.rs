//! `project check`.

use clap::Args;
use serde::Serialize;

use super::{decode, read};
use crate::cli::app::{self, AppRef};
use crate::cli::output::{Output, Report, print_document};
use crate::cli::{CommandResult, Context, Exit};
use crate::project::{self, Verdict, judge_destination, judge_kind, judge_namespace, judge_source};
use crate::ui::stream;
use crate::ui::table::Table;

/// Say whether an Application's project permits it, with the entry that decided.
///
/// Judges its namespace, its sources, its destination, and the kinds and namespaces of the objects in its status, with the
/// controller's own rules. Ends with 0 when everything is permitted, 1 when something is not.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops project check web")]
pub struct CheckArgs {
    /// The Application, as NAME or NAMESPACE/NAME
    app: String,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

/// One question and its answer.
#[derive(Debug, Serialize)]
struct Judged {
    check: &'static str,
    subject: String,
    allowed: bool,
    rule: String,
}

/// Judges.
///
/// # Errors
/// When the Application or its project does not exist, or the API server refuses.
pub async fn run(args: CheckArgs, cx: &Context) -> CommandResult {
    let app = app::get(cx, &AppRef::parse(&args.app, cx)?).await?;
    let project = decode(&read(app.app.project(), cx).await?)?;
    let judged = judge(&app.app, &project, &cx.application_namespace());
    let ok = judged.iter().all(|one| one.allowed);
    match args.output {
        Some(output) => {
            #[derive(Serialize)]
            struct Body<'a> {
                project: &'a str,
                checks: &'a [Judged],
            }
            let body = Body { project: app.app.project(), checks: &judged };
            print_document(output, &Report::new("ProjectCheck", ok, body, Vec::new()))?;
        }
        None => {
            let mut table = Table::new(&["CHECK", "SUBJECT", "VERDICT", "RULE"]);
            for one in &judged {
                let verdict = if one.allowed { "allow" } else { "deny" };
                table.row(vec![one.check.into(), one.subject.clone(), verdict.into(), one.rule.clone()]);
            }
            stream::out(&table.render(stream::width(), true));
        }
    }
    Ok(if ok { Exit::Done } else { Exit::No })
}

fn judge(app: &crate::api::Application, project: &crate::api::AppProject, control_namespace: &str) -> Vec<Judged> {
    let judged =
        |check, subject: String, verdict: Verdict| Judged { check, subject, allowed: verdict.allowed, rule: verdict.rule };
    let mut all =
        vec![judged("namespace", app.namespace().to_owned(), judge_namespace(project, app.namespace(), control_namespace))];
    all.extend(
        app.sources()
            .into_iter()
            .map(|source| judged("source", source.repo_url.clone(), judge_source(project, &source.repo_url))),
    );
    let destination = match project::resolve_destination(&app.spec.destination) {
        Ok(destination) => destination,
        Err(problem) => {
            // What nobody registered can still be judged by what is written.
            all.push(judged("cluster", app.spec.destination.server.clone(), Verdict { allowed: false, rule: problem }));
            app.spec.destination.clone()
        }
    };
    let shown = |namespace: &str| {
        format!("{} {namespace}", if destination.server.is_empty() { &destination.name } else { &destination.server })
    };
    all.push(judged("destination", shown(&destination.namespace), judge_destination(project, &destination)));
    for one in app.status.iter().flat_map(|status| &status.resources) {
        let kind = if one.group.is_empty() { one.kind.clone() } else { format!("{}/{}", one.group, one.kind) };
        let namespaced = !one.namespace.is_empty();
        let subject = format!("{kind} {}", one.name);
        all.push(judged("kind", subject.clone(), judge_kind(project, &one.group, &one.kind, &one.name, namespaced)));
        if namespaced && one.namespace != destination.namespace {
            let elsewhere =
                crate::api::application::ApplicationDestination { namespace: one.namespace.clone(), ..destination.clone() };
            all.push(judged(
                "namespace of object",
                format!("{subject} in {}", one.namespace),
                judge_destination(project, &elsewhere),
            ));
        }
    }
    all
}
