//! What can be said of an Application's specification without fetching anything. Pure.

use super::{IN_CLUSTER_NAME, IN_CLUSTER_SERVER};
use crate::api::Application;
use crate::api::application::{ApplicationDestination, ApplicationSource};

/// Says what is missing in the sources; empty when they can be fetched.
///
/// Source: Argo CD 3.5 validation (reference section 1.14).
#[must_use]
pub fn source_problems(app: &Application, sources: &[ApplicationSource]) -> Vec<String> {
    if sources.is_empty() {
        return vec!["spec.source.repoURL and either spec.source.path or spec.source.chart are required".into()];
    }
    let multi = app.is_multi_source();
    let mut problems = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let field = if multi { format!("spec.sources[{index}]") } else { "spec.source".to_owned() };
        let located = !source.path.is_empty() || !source.chart.is_empty() || (multi && !source.ref_name.is_empty());
        if source.repo_url.is_empty() || !located {
            let reference = if multi { ", or ref" } else { "" };
            problems.push(format!("{field}.repoURL and either path or chart{reference} are required"));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if multi && !source.ref_name.chars().all(plain) {
            problems.push(format!("{field}.ref `{}` may hold letters, digits, `_` and `-` only", source.ref_name));
        }
        if multi && !source.ref_name.is_empty() && sources[..index].iter().any(|other| other.ref_name == source.ref_name) {
            problems.push(format!("{field}.ref `{}` is the name of another source as well", source.ref_name));
        }
        if !source.chart.is_empty() && source.target_revision.is_empty() {
            problems.push(format!("{field}.targetRevision is required if the source is a chart"));
        }
    }
    problems
}

/// Fills in the other half of a destination, name or server. Only the local cluster is known yet.
///
/// # Errors
/// What to change, when it names no known cluster or none clearly.
pub fn resolve_destination(destination: &ApplicationDestination) -> Result<ApplicationDestination, String> {
    let server = destination.server.trim_end_matches('/');
    let resolved = |destination: &ApplicationDestination| ApplicationDestination {
        server: IN_CLUSTER_SERVER.into(),
        name: IN_CLUSTER_NAME.into(),
        namespace: destination.namespace.clone(),
    };
    match (server, destination.name.as_str()) {
        ("", "") => {
            Err("application destination needs a server or a name: set spec.destination.server or spec.destination.name".into())
        }
        (server, "") if server == IN_CLUSTER_SERVER => Ok(resolved(destination)),
        (server, "") => Err(format!(
            "cluster '{server}' has not been configured: set spec.destination.server to {IN_CLUSTER_SERVER} (other clusters are not supported yet)"
        )),
        ("", IN_CLUSTER_NAME) => Ok(resolved(destination)),
        ("", name) => Err(format!(
            "unable to find destination server: there are no clusters with this name: {name} (known: {IN_CLUSTER_NAME})"
        )),
        (server, name) => Err(format!("application destination can't have both name and server defined: {name} {server}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(server: &str, name: &str) -> ApplicationDestination {
        ApplicationDestination { server: server.into(), name: name.into(), namespace: "n".into() }
    }

    #[test]
    fn the_local_cluster_is_known_by_server_and_by_name() {
        for known in [
            destination("https://kubernetes.default.svc", ""),
            destination("https://kubernetes.default.svc/", ""),
            destination("", "in-cluster"),
        ] {
            let resolved = resolve_destination(&known);
            assert_eq!(resolved.map(|one| (one.server, one.name)), Ok((IN_CLUSTER_SERVER.into(), IN_CLUSTER_NAME.into())));
        }
    }

    #[test]
    fn other_destinations_say_what_to_change() {
        let text = |server: &str, name: &str| resolve_destination(&destination(server, name)).err().unwrap_or_default();
        assert!(text("", "").contains("spec.destination.server"));
        assert!(text("https://1.2.3.4", "").contains("cluster 'https://1.2.3.4' has not been configured"));
        assert!(text("", "prod").contains("there are no clusters with this name: prod"));
        assert_eq!(
            text("https://kubernetes.default.svc", "in-cluster"),
            "application destination can't have both name and server defined: in-cluster https://kubernetes.default.svc"
        );
    }
}
