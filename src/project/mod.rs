//! What an AppProject permits, as verdicts. Pure.
//!
//! Source: Argo CD 3.5 AppProject checks (reference section 1.14). Roles and the other sections are not judged
//! here yet.

mod impersonation;
mod matching;
mod spec;
mod verdict;
pub mod windows;

use crate::api::AppProject;
use crate::api::application::{ApplicationDestination, ApplicationSource};
use crate::api::appproject::{AppProjectSpec, KindRestriction};

pub use impersonation::{NoServiceAccount, acts_as};
pub use spec::{resolve_destination, source_problems};
pub use verdict::{Verdict, judge_destination, judge_kind, judge_namespace, judge_source};

/// URL by which the local cluster is named in manifests.
pub const IN_CLUSTER_SERVER: &str = "https://kubernetes.default.svc";
/// Name by which the local cluster is known.
pub const IN_CLUSTER_NAME: &str = "in-cluster";

/// Why something is not permitted, in Argo CD's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied(pub String);

/// The project that exists when nobody made one: everything is permitted.
#[must_use]
pub fn default_project() -> AppProjectSpec {
    let everything = || KindRestriction { group: "*".into(), kind: "*".into(), name: String::new() };
    AppProjectSpec {
        source_repos: vec!["*".into()],
        destinations: vec![ApplicationDestination { server: "*".into(), name: String::new(), namespace: "*".into() }],
        cluster_resource_whitelist: vec![everything()],
        ..AppProjectSpec::default()
    }
}

/// Says whether a source's repository may be used.
///
/// # Errors
/// The reason, when it may not.
pub fn check_source(project: &AppProject, source: &ApplicationSource) -> Result<(), Denied> {
    if verdict::judge_source(project, &source.repo_url).allowed {
        return Ok(());
    }
    let name = project_name(project);
    Err(Denied(format!("application repo {} is not permitted in project '{name}'", source.repo_url)))
}

/// Says whether a destination may be deployed to. `destination` carries both server and name of the resolved cluster.
///
/// # Errors
/// The reason, when it may not.
pub fn check_destination(project: &AppProject, destination: &ApplicationDestination) -> Result<(), Denied> {
    if verdict::judge_destination(project, destination).allowed { Ok(()) } else { Err(destination_denied(project, destination)) }
}

fn destination_denied(project: &AppProject, destination: &ApplicationDestination) -> Denied {
    Denied(format!(
        "application destination server '{}' and namespace '{}' do not match any of the allowed destinations in project '{}'",
        destination.server,
        destination.namespace,
        project_name(project)
    ))
}

/// Says whether a kind may be managed.
///
/// # Errors
/// The reason, when it may not.
pub fn check_kind(project: &AppProject, group: &str, kind: &str, name: &str, namespaced: bool) -> Result<(), Denied> {
    if verdict::judge_kind(project, group, kind, name, namespaced).allowed {
        return Ok(());
    }
    let shown = if group.is_empty() { kind.to_owned() } else { format!("{group}:{kind}") };
    Err(Denied(format!("resource {shown} is not permitted in project {}", project_name(project))))
}

/// Says whether Applications of a namespace may belong to the project.
#[must_use]
pub fn permits_namespace(project: &AppProject, app_namespace: &str, control_namespace: &str) -> bool {
    verdict::judge_namespace(project, app_namespace, control_namespace).allowed
}

fn project_name(project: &AppProject) -> &str {
    project.metadata.name.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(spec: AppProjectSpec) -> AppProject {
        let mut project = AppProject { spec, ..AppProject::default() };
        project.metadata.name = Some("shop".into());
        project
    }

    fn source(url: &str) -> ApplicationSource {
        ApplicationSource { repo_url: url.into(), ..ApplicationSource::default() }
    }

    fn destination(server: &str, namespace: &str) -> ApplicationDestination {
        ApplicationDestination { server: server.into(), name: String::new(), namespace: namespace.into() }
    }

    #[test]
    fn the_default_project_permits_everything() {
        let everything = project(default_project());
        assert_eq!(check_source(&everything, &source("https://a/b.git")), Ok(()));
        assert_eq!(check_destination(&everything, &destination(IN_CLUSTER_SERVER, "any")), Ok(()));
        assert_eq!(check_kind(&everything, "rbac.authorization.k8s.io", "ClusterRole", "x", false), Ok(()));
        assert_eq!(check_kind(&everything, "", "Secret", "x", true), Ok(()));
    }

    #[test]
    fn a_repository_outside_the_globs_is_named() {
        let fenced = project(AppProjectSpec {
            source_repos: vec!["https://github.com/org/*".into(), "!https://github.com/org/secret".into()],
            ..AppProjectSpec::default()
        });
        assert_eq!(check_source(&fenced, &source("https://github.com/ORG/app.git")), Ok(()));
        assert!(check_source(&fenced, &source("https://github.com/org/deep/app")).is_err(), "a star does not cross a slash");
        let denied = check_source(&fenced, &source("https://github.com/org/secret.git"));
        let text = "application repo https://github.com/org/secret.git is not permitted in project 'shop'";
        assert_eq!(denied, Err(Denied(text.into())));
    }

    #[test]
    fn destination_denials_win() {
        let fenced = project(AppProjectSpec {
            destinations: vec![destination("*", "*"), destination("*", "!kube-system")],
            ..AppProjectSpec::default()
        });
        assert_eq!(check_destination(&fenced, &destination(IN_CLUSTER_SERVER, "web")), Ok(()));
        assert!(check_destination(&fenced, &destination(IN_CLUSTER_SERVER, "kube-system")).is_err());
    }

    #[test]
    fn cluster_kinds_need_permission_and_namespaced_kinds_do_not() {
        let empty = project(AppProjectSpec::default());
        assert!(check_kind(&empty, "", "Namespace", "x", false).is_err());
        assert_eq!(check_kind(&empty, "", "ConfigMap", "x", true), Ok(()));
        let none = project(AppProjectSpec { namespace_resource_whitelist: Some(vec![]), ..AppProjectSpec::default() });
        let denied = check_kind(&none, "apps", "Deployment", "x", true);
        assert_eq!(denied, Err(Denied("resource apps:Deployment is not permitted in project shop".into())));
    }
}
