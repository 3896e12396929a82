//! The cluster: does it answer, what is installed, what may this user do.

use http::Request;
use http::header::DATE;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::Api;

use super::{Check, Status};
use crate::api::crd;
use crate::cli::install::{find_rivals, may, may_named};
use crate::cli::version::{CONTROLLER, Controller, client as our_version, controller, fits};
use crate::cli::{Context, Failure};
use crate::keys::CERTIFICATE_MAP;

/// Tokens and certificates begin to fail when clocks are this far apart.
const MAX_SKEW_SECONDS: i64 = 60;

/// Reaches the API server; says whether it can be asked further.
pub async fn connect(cx: &Context) -> (bool, Vec<Check>) {
    match greet(cx).await {
        Ok((version, date)) => {
            let mut checks = vec![Check::ok("api", format!("{} is {version}", cx.describe_server()))];
            checks.extend(date.map(|date| clock(date, Timestamp::now())));
            (true, checks)
        }
        Err(failure) => (false, vec![Check::refused("api", Status::Fail, &failure)]),
    }
}

/// The API server's version and its clock.
async fn greet(cx: &Context) -> Result<(String, Option<Timestamp>), Failure> {
    let client = cx.client().await?;
    let explain = |error: kube::Error| cx.explain(&error, "read the version of the API server");
    let version = client.apiserver_version().await.map_err(explain)?.git_version;
    let request = Request::get("/version").body(kube::client::Body::empty());
    let request = request.map_err(|error| Failure::new("cannot ask for the time").with_cause(&error))?;
    let answer = client.send(request).await.map_err(explain)?;
    let date = answer.headers().get(DATE).and_then(|value| value.to_str().ok()).and_then(parse_date);
    Ok((version, date))
}

/// A date of HTTP: `Wed, 25 Nov 2026 12:00:00 GMT`.
fn parse_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

fn clock(theirs: Timestamp, ours: Timestamp) -> Check {
    let apart = ours.as_second() - theirs.as_second();
    let direction = if apart > 0 { "ahead of" } else { "behind" };
    let seconds = apart.abs();
    if seconds <= MAX_SKEW_SECONDS {
        return Check::ok("clock", "this machine and the API server agree on the time");
    }
    Check::warn(
        "clock",
        format!("the clock of this machine is {seconds}s {direction} the API server's: tokens and certificates may be refused"),
        "set it by NTP: timedatectl set-ntp true",
    )
}

pub async fn check(cx: &Context) -> Vec<Check> {
    let mut checks = vec![definitions(cx).await];
    checks.extend(controllers(cx).await);
    checks.extend(rights(cx).await);
    checks
}

async fn definitions(cx: &Context) -> Check {
    let Ok(client) = cx.client().await else { return Check::ok("crds", "") };
    let api = Api::<CustomResourceDefinition>::all(client);
    let mut missing = Vec::new();
    for definition in crd::all() {
        let name = definition.pointer("/metadata/name").and_then(|name| name.as_str()).unwrap_or_default().to_owned();
        match api.get_metadata_opt(&name).await {
            Ok(Some(_)) => {}
            Ok(None) => missing.push(name),
            Err(error) => return Check::refused("crds", Status::Warn, &cx.explain(&error, "look for the definitions")),
        }
    }
    if missing.is_empty() {
        return Check::ok("crds", "all CustomResourceDefinitions are there");
    }
    Check::fail("crds", format!("not defined: {}", missing.join(", ")), "kubectl gitops install")
}

async fn controllers(cx: &Context) -> Vec<Check> {
    let namespace = &cx.flags.controller_namespace;
    let mut checks = vec![match controller(cx).await {
        Ok(found) => running(found.as_ref(), namespace),
        Err(failure) => Check::refused("controller", Status::Warn, &failure),
    }];
    if let Ok(client) = cx.client().await {
        checks.extend(find_rivals(&client, namespace).await.iter().map(|rival| {
            let message = format!("{} runs as well: {}/{}", rival.what.title(), rival.namespace, rival.name);
            Check::fail("one-controller", message, format!("only one may run; stop it: {}", rival.stop()))
        }));
    }
    checks
}

fn running(found: Option<&Controller>, namespace: &str) -> Check {
    let Some(found) = found else {
        let message = format!("there is no controller {namespace}/{CONTROLLER}: nothing is synced or opened");
        return Check::fail("controller", message, "kubectl gitops install; or name its namespace: --controller-namespace");
    };
    let version = found.version.as_deref().unwrap_or("of an unknown version");
    if !found.ready {
        let message = format!("{namespace}/{CONTROLLER} {version} is not ready");
        return Check::fail("controller", message, format!("kubectl -n {namespace} describe deployment {CONTROLLER}"));
    }
    if !fits(&our_version(), found.version.as_deref()) {
        let message = format!("the controller is {version}, this program {}: they do not fit together", our_version());
        return Check::fail("controller", message, "use versions whose minor numbers are at most one apart");
    }
    Check::ok("controller", format!("{namespace}/{CONTROLLER} {version} is ready"))
}

/// A right, and the commands that need it.
struct Right {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    commands: &'static str,
}

const RIGHTS: &[Right] = &[
    Right { verb: "list", group: "argoproj.io", resource: "applications", commands: "status, app list" },
    Right { verb: "patch", group: "argoproj.io", resource: "applications", commands: "sync, refresh" },
    Right { verb: "get", group: "", resource: "configmaps", commands: "seal" },
    Right { verb: "list", group: "", resource: "secrets", commands: "keys" },
];

/// What this user may do, asked of the API server.
async fn rights(cx: &Context) -> Vec<Check> {
    let Ok(client) = cx.client().await else { return Vec::new() };
    let namespace = &cx.flags.controller_namespace;
    let mut missing = Vec::new();
    for right in RIGHTS {
        // The certificate's ConfigMap is readable by name, which the question about all of them does not see.
        let named = right.resource == "configmaps"
            && may_named(&client, right.verb, right.resource, namespace, CERTIFICATE_MAP).await == Some(true);
        if !named && may(&client, right.verb, right.group, right.resource, namespace).await == Some(false) {
            missing.push(right);
        }
    }
    if missing.is_empty() {
        return vec![Check::ok("rights", format!("you may use every command on what is in {namespace:?}"))];
    }
    let describe = |right: &&Right| {
        let group = if right.group.is_empty() { String::new() } else { format!(".{}", right.group) };
        Check::warn(
            "rights",
            format!("you may not {} {}{group} in {namespace:?}: {} will not work", right.verb, right.resource, right.commands),
            format!("kubectl auth can-i {} {}{group} -n {namespace}", right.verb, right.resource),
        )
    };
    missing.iter().map(describe).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_compared_in_both_directions() {
        let theirs = parse_date("Wed, 25 Nov 2026 12:00:00 GMT").unwrap();
        let at = |text: &str| clock(theirs, text.parse().unwrap());
        assert_eq!(at("2026-11-25T12:00:30Z").status, Status::Ok);
        assert!(at("2026-11-25T12:05:00Z").message.contains("300s ahead of"), "{:?}", at("2026-11-25T12:05:00Z"));
        assert!(at("2026-11-25T11:55:00Z").message.contains("300s behind"));
    }

    #[test]
    fn a_controller_must_be_there_ready_and_of_a_version_that_fits() {
        let found = |version: &str, ready| Controller { namespace: "argocd".into(), version: Some(version.into()), ready };
        assert_eq!(running(None, "argocd").status, Status::Fail);
        assert_eq!(running(Some(&found(&our_version(), false)), "argocd").status, Status::Fail);
        assert_eq!(running(Some(&found("v99.0.0", true)), "argocd").status, Status::Fail);
        assert_eq!(running(Some(&found(&our_version(), true)), "argocd").status, Status::Ok);
    }
}
