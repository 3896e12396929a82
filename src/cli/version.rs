//! `version`.

use clap::Args;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::Api;
use serde::Serialize;

use super::output::{Output, Problem, Report, print_document};
use super::{CommandResult, Context, Exit, Failure};
use crate::ui::stream;

/// Name of the controller's Deployment.
pub const CONTROLLER: &str = "gitops-controller";
const VERSION_LABEL: &str = "app.kubernetes.io/version";

/// Show the versions of this program, the controller and the API server.
///
/// Reads only. Ends with 1 when program and controller do not fit together, and with 2 when the cluster cannot be asked.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops version --client")]
pub struct VersionArgs {
    /// Only this program; needs no cluster
    #[arg(long)]
    client: bool,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

#[derive(Debug, Serialize)]
struct Versions {
    client: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    controller: Option<Controller>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
}

/// The controller as its Deployment describes it.
#[derive(Debug, Serialize)]
pub(super) struct Controller {
    pub namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    pub ready: bool,
}

/// Shows the versions.
///
/// # Errors
/// When the cluster cannot be asked; this program's version is printed first.
pub async fn run(args: VersionArgs, cx: &Context) -> CommandResult {
    let mut versions = Versions { client: client(), controller: None, server: None };
    let asked = if args.client { Ok(()) } else { ask(&mut versions, cx).await };
    let problems = skew(&versions).into_iter().collect::<Vec<_>>();
    let fits = problems.is_empty();
    match args.output {
        Some(output) => {
            print_document(output, &Report::new("VersionReport", fits && asked.is_ok(), versions, problems))?;
        }
        None => {
            stream::out(&describe(&versions, args.client || asked.is_err()));
            problems.iter().for_each(|problem| stream::say(&problem.message));
        }
    }
    asked?;
    Ok(if fits { Exit::Done } else { Exit::No })
}

/// Version of this program.
#[must_use]
pub fn client() -> String {
    format!("v{}", env!("CARGO_PKG_VERSION"))
}

/// What `version --client` and the flag `--version` print.
pub(super) fn client_line() -> String {
    format!("client       {}\n", client())
}

async fn ask(versions: &mut Versions, cx: &Context) -> Result<(), Failure> {
    let client = cx.client().await?;
    let server = client.apiserver_version().await.map_err(|error| cx.explain(&error, "read the version of the API server"))?;
    versions.server = Some(server.git_version);
    versions.controller = controller(cx).await?;
    Ok(())
}

/// Looks for the controller in its namespace; `None` when there is none.
pub(super) async fn controller(cx: &Context) -> Result<Option<Controller>, Failure> {
    let namespace = &cx.flags.controller_namespace;
    let found = Api::<Deployment>::namespaced(cx.client().await?, namespace).get_opt(CONTROLLER).await;
    let deployment = found.map_err(|error| cx.explain(&error, &format!("read deployment {CONTROLLER:?} in {namespace:?}")))?;
    Ok(deployment.map(|deployment| Controller {
        namespace: namespace.clone(),
        version: deployment.metadata.labels.as_ref().and_then(|labels| labels.get(VERSION_LABEL)).map(|version| with_v(version)),
        ready: deployment.status.and_then(|status| status.available_replicas).unwrap_or(0) > 0,
    }))
}

fn with_v(version: &str) -> String {
    format!("v{}", version.trim_start_matches('v'))
}

fn describe(versions: &Versions, client_only: bool) -> String {
    let mut lines = client_line();
    if client_only {
        return lines;
    }
    let controller = match &versions.controller {
        None => "not installed".to_owned(),
        Some(found) => {
            let state = if found.ready { "" } else { ", not ready" };
            format!("{} ({}/{CONTROLLER}{state})", found.version.as_deref().unwrap_or("unknown version"), found.namespace)
        }
    };
    lines.push_str(&format!("controller   {controller}\n"));
    lines.push_str(&format!("API server   {}\n", versions.server.as_deref().unwrap_or("unknown")));
    lines
}

/// Program and controller fit when their minor versions are at most one apart; an unknown version is given the benefit of the doubt.
pub(super) fn fits(client: &str, controller: Option<&str>) -> bool {
    let (Some(ours), Some(others)) = (minor(client), controller.and_then(minor)) else { return true };
    ours.0 == others.0 && ours.1.abs_diff(others.1) <= 1
}

fn skew(versions: &Versions) -> Option<Problem> {
    let theirs = versions.controller.as_ref()?.version.as_ref()?;
    (!fits(&versions.client, Some(theirs))).then(|| Problem {
        code: "version-skew",
        message: format!("this program is {}, the controller is {theirs}: they do not fit together", versions.client),
        hint: Some("use versions whose minor numbers are at most one apart".into()),
        object: None,
    })
}

fn minor(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.trim_start_matches('v').split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_fit_when_one_minor_apart() {
        let versions = |client: &str, controller: &str| Versions {
            client: client.into(),
            controller: Some(Controller { namespace: "argocd".into(), version: Some(controller.into()), ready: true }),
            server: None,
        };
        for (client, controller, fits) in [("v0.3.0", "v0.4.9", true), ("v0.3.0", "v0.5.0", false), ("v1.0.0", "v0.9.0", false)] {
            assert_eq!(skew(&versions(client, controller)).is_none(), fits, "{client} {controller}");
        }
    }
}
