//! `repo list`.

use clap::Args;
use serde::Serialize;

use super::place;
use super::test_access::test;
use crate::cli::output::{Output, Problem, Report, print_document};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::source::credentials::{Catalogue, Listed};
use crate::ui::stream;
use crate::ui::table::Table;

/// List the registered repositories and how they log in; shows no secrets.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops repo list --test")]
pub struct ListArgs {
    /// Reach each Git repository from here; ends with 1 when one cannot be reached
    #[arg(long)]
    test: bool,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

#[derive(Debug, Serialize)]
struct Repositories {
    repositories: Vec<One>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct One {
    url: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    project: String,
    secret: String,
    /// True for all repositories whose URL begins so.
    template: bool,
    login: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reached: Option<bool>,
}

/// Lists them.
///
/// # Errors
/// When the Secrets may not be read.
pub(super) async fn run(args: ListArgs, cx: &Context) -> CommandResult {
    let secrets = place::secrets(cx).await?;
    let trust = if args.test { place::trust(cx).await? } else { Default::default() };
    let catalogue = Catalogue::new(&secrets, trust);
    let mut problems: Vec<Problem> =
        catalogue.problems().iter().map(|error| problem("bad-secret", error.clone().into())).collect();
    let mut found: Vec<One> = catalogue.listed().map(|one| describe(&one)).collect();
    if args.test {
        for one in found.iter_mut().filter(|one| !one.template) {
            let tested = test(&one.url, &one.project, catalogue.clone()).await;
            one.reached = Some(tested.is_ok());
            problems.extend(tested.err().map(|failure| problem("unreachable", failure)));
        }
    }
    let ok = problems.is_empty();
    let exit = if ok || !args.test { Exit::Done } else { Exit::No };
    if let Some(output) = args.output {
        print_document(output, &Report::new("RepoListReport", ok, Repositories { repositories: found }, problems))?;
        return Ok(exit);
    }
    if found.is_empty() && ok {
        stream::say(&format!("No repositories are registered in {} namespace.", cx.flags.controller_namespace));
        return Ok(exit);
    }
    stream::out(&table(&found, args.test).render(stream::width(), true));
    problems.iter().for_each(|problem| stream::say(&crate::ui::problem::note(&problem.message, problem.hint.as_deref())));
    Ok(exit)
}

fn problem(code: &'static str, failure: Failure) -> Problem {
    let message = std::iter::once(failure.what).chain(failure.causes).collect::<Vec<_>>().join(": ");
    Problem { code, message, hint: failure.hint, object: None }
}

fn describe(one: &Listed<'_>) -> One {
    One {
        url: one.url.to_owned(),
        kind: one.kind,
        name: one.alias.to_owned(),
        project: one.project.to_owned(),
        secret: one.secret.to_owned(),
        template: one.is_template,
        login: one.login.clone(),
        reached: None,
    }
}

fn table(found: &[One], tested: bool) -> Table {
    let mut headings = vec!["URL", "TYPE", "PROJECT", "LOGIN", "SECRET"];
    headings.extend(tested.then_some("REACHED"));
    let mut table = Table::new(&headings);
    for one in found {
        let url = if one.template { format!("{}*", one.url) } else { one.url.clone() };
        let project = if one.project.is_empty() { "<all>".to_owned() } else { one.project.clone() };
        let mut cells = vec![url, one.kind.to_owned(), project, one.login.clone(), one.secret.clone()];
        if tested {
            cells.push(one.reached.map_or("<untested>", |reached| if reached { "yes" } else { "no" }).to_owned());
        }
        table.row(cells);
    }
    table
}
