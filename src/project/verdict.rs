//! Verdicts with the rule that decided them.
//!
//! Source: Argo CD 3.5 (reference sections 2.4 to 2.7).

use super::matching::{comparable_url, glob, glob_or_denial, glob_or_expression};
use crate::api::AppProject;
use crate::api::application::ApplicationDestination;
use crate::api::appproject::KindRestriction;

/// What a project says, and because of which of its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// It may be used.
    pub allowed: bool,
    /// The entry that decided, as a path with its content; or that none matches.
    pub rule: String,
}

impl Verdict {
    fn allow(rule: String) -> Self {
        Self { allowed: true, rule }
    }

    fn deny(rule: impl Into<String>) -> Self {
        Self { allowed: false, rule: rule.into() }
    }
}

/// Judges a repository. A denial that hits decides at once; one that does not hit permits everything else.
#[must_use]
pub fn judge_source(project: &AppProject, repo_url: &str) -> Verdict {
    let url = comparable_url(repo_url);
    let mut allowed = None;
    for (index, entry) in project.spec.source_repos.iter().enumerate() {
        let rule = || format!("spec.sourceRepos[{index}]: {entry}");
        match entry.strip_prefix('!') {
            Some(denied) if glob(&comparable_url(denied), &url, true) => return Verdict::deny(rule()),
            Some(_) => allowed = allowed.or_else(|| Some(rule())),
            None if entry == "*" || glob(&comparable_url(entry), &url, true) => allowed = allowed.or_else(|| Some(rule())),
            None => {}
        }
    }
    allowed.map_or_else(|| Verdict::deny("no entry of spec.sourceRepos matches"), Verdict::allow)
}

/// Judges a destination, which carries both server and name of the resolved cluster.
///
/// An entry permits when its server or its name matches, and its namespace. A denied field matches whatever it does not deny;
/// where it hits, it forbids, unless the entry matches as a whole by its other field.
#[must_use]
pub fn judge_destination(project: &AppProject, destination: &ApplicationDestination) -> Verdict {
    let mut allowed = None;
    for (index, entry) in project.spec.destinations.iter().enumerate() {
        let rule = || format!("spec.destinations[{index}]: {}", shown(entry));
        let by_server =
            !destination.server.is_empty() && !entry.server.is_empty() && glob_or_denial(&entry.server, &destination.server);
        let by_name = !destination.name.is_empty() && !entry.name.is_empty() && glob_or_denial(&entry.name, &destination.name);
        let by_namespace = glob_or_denial(&entry.namespace, &destination.namespace);
        if (by_server || by_name) && by_namespace {
            allowed = allowed.or_else(|| Some(rule()));
            continue;
        }
        let denies = |field: &str| field.starts_with('!');
        let forbidden = (denies(&entry.name) && !by_name)
            || (denies(&entry.server) && !by_server && by_namespace)
            || (denies(&entry.namespace) && !by_namespace && by_server);
        if forbidden {
            return Verdict::deny(rule());
        }
    }
    allowed.map_or_else(|| Verdict::deny("no entry of spec.destinations matches"), Verdict::allow)
}

fn shown(entry: &ApplicationDestination) -> String {
    let fields = [("server", &entry.server), ("name", &entry.name), ("namespace", &entry.namespace)];
    let written = fields.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name} {value}"));
    written.collect::<Vec<_>>().join(", ")
}

/// Judges a kind. Of namespaced kinds everything is permitted while there is no list; of cluster-scoped ones nothing.
#[must_use]
pub fn judge_kind(project: &AppProject, group: &str, kind: &str, name: &str, namespaced: bool) -> Verdict {
    let spec = &project.spec;
    let find = |list: &[KindRestriction], field: &str| {
        let index = list.iter().position(|one| kind_matches(one, group, kind, name))?;
        let group = if list[index].group.is_empty() { String::new() } else { format!("{}/", list[index].group) };
        Some(format!("spec.{field}[{index}]: {group}{}", list[index].kind))
    };
    let (denied, field) = if namespaced {
        (find(&spec.namespace_resource_blacklist, "namespaceResourceBlacklist"), "namespaceResourceWhitelist")
    } else {
        (find(&spec.cluster_resource_blacklist, "clusterResourceBlacklist"), "clusterResourceWhitelist")
    };
    if let Some(rule) = denied {
        return Verdict::deny(rule);
    }
    let list =
        if namespaced { spec.namespace_resource_whitelist.as_deref() } else { Some(spec.cluster_resource_whitelist.as_slice()) };
    match list.map(|list| find(list, field)) {
        None => Verdict::allow("no spec.namespaceResourceWhitelist: all namespaced kinds".to_owned()),
        Some(Some(rule)) => Verdict::allow(rule),
        Some(None) => Verdict::deny(format!("no entry of spec.{field} matches")),
    }
}

/// `*` matches the empty group too, and stops at slashes.
fn kind_matches(restriction: &KindRestriction, group: &str, kind: &str, name: &str) -> bool {
    glob(&restriction.group, group, true)
        && glob(&restriction.kind, kind, true)
        && (restriction.name.is_empty() || glob(&restriction.name, name, true))
}

/// Judges the namespace of an Application itself.
#[must_use]
pub fn judge_namespace(project: &AppProject, app_namespace: &str, control_namespace: &str) -> Verdict {
    if app_namespace == control_namespace {
        return Verdict::allow("it is the control namespace".to_owned());
    }
    let entries = &project.spec.source_namespaces;
    match entries.iter().position(|pattern| glob_or_expression(pattern, app_namespace)) {
        Some(index) => Verdict::allow(format!("spec.sourceNamespaces[{index}]: {}", entries[index])),
        None => Verdict::deny("no entry of spec.sourceNamespaces matches"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn project(spec: &Value) -> AppProject {
        serde_json::from_value(json!({ "metadata": { "name": "p" }, "spec": spec })).unwrap_or_default()
    }

    fn source(entries: &[&str], url: &str) -> bool {
        judge_source(&project(&json!({ "sourceRepos": entries })), url).allowed
    }

    fn destination(entries: &Value, server: &str, name: &str, namespace: &str) -> bool {
        let wanted = ApplicationDestination { server: server.into(), name: name.into(), namespace: namespace.into() };
        judge_destination(&project(&json!({ "destinations": entries })), &wanted).allowed
    }

    /// T53 for sources, and the vectors of the reference.
    #[test]
    fn a_list_of_denied_repositories_permits_all_others() {
        let secret = ["!https://git.example/secret/**"];
        assert!(source(&secret, "https://git.example/team/app"));
        assert!(!source(&secret, "https://git.example/secret/x/y"));
        assert!(!source(&[], "https://git.example/team/app"), "an empty list permits nothing");
        assert!(!source(&["*", "!https://git.example/secret"], "https://git.example/secret"), "a denial wins over a star");
    }

    /// T54.
    #[test]
    fn a_star_of_repositories_stops_at_slashes_and_spelling_does_not_matter() {
        let team = ["https://git.example/team/*"];
        assert!(source(&team, "https://GIT.example/Team/App.git"));
        assert!(!source(&team, "https://git.example/team/a/b"));
        assert!(source(&["git@git.example:team/*"], "ssh://git@git.example/team/app.git"));
        assert!(!source(&["https://git.example/{a,b}"], "https://git.example/a"), "no alternatives in URLs");
    }

    /// T53 for destinations, and the vectors of the reference.
    #[test]
    fn denied_namespaces_permit_the_others() {
        let entries = json!([{ "server": "*", "namespace": "team-*" }, { "server": "*", "namespace": "!team-prod" }]);
        let to = |namespace: &str| destination(&entries, "https://s", "c", namespace);
        assert!(to("team-dev"));
        assert!(!to("team-prod"));
        assert!(to("other"), "the denial matches what it does not deny");
    }

    /// T55.
    #[test]
    fn a_cluster_is_known_by_name_and_by_server() {
        let by_name = json!([{ "name": "prod", "namespace": "*" }]);
        assert!(destination(&by_name, "https://prod", "prod", "n"));
        assert!(!destination(&by_name, "https://dev", "dev", "n"));
        let denied = json!([{ "server": "https://*", "namespace": "a" }, { "name": "!prod", "namespace": "b" }]);
        assert!(!destination(&denied, "https://prod", "prod", "a"), "a denied name ignores the namespace");
        let both = json!([{ "server": "*", "name": "!prod", "namespace": "*" }]);
        assert!(destination(&both, "https://prod", "prod", "n"), "the same entry matches by its server");
        let name_only = json!([{ "name": "prod", "namespace": "!x" }, { "server": "*", "namespace": "x" }]);
        assert!(destination(&name_only, "https://prod", "prod", "x"), "a namespace denied beside a name alone forbids nothing");
    }

    /// T56.
    #[test]
    fn absent_lists_of_kinds_are_not_empty_ones() {
        let kind = |spec: &Value, namespaced: bool| judge_kind(&project(spec), "apps", "Deployment", "x", namespaced).allowed;
        assert!(kind(&json!({}), true) && !kind(&json!({}), false));
        assert!(!kind(&json!({ "namespaceResourceWhitelist": [] }), true));
        assert!(kind(&json!({ "clusterResourceWhitelist": [{ "group": "*", "kind": "*" }] }), false));
        let denied = json!({ "namespaceResourceBlacklist": [{ "group": "apps", "kind": "*" }] });
        let verdict = judge_kind(&project(&denied), "apps", "Deployment", "x", true);
        assert_eq!(verdict, Verdict::deny("spec.namespaceResourceBlacklist[0]: apps/*"));
    }

    #[test]
    fn the_rule_that_decided_is_named() {
        let fenced = project(&json!({ "sourceRepos": ["https://a/*", "!https://a/b"], "sourceNamespaces": ["/^team-/"] }));
        assert_eq!(judge_source(&fenced, "https://a/c").rule, "spec.sourceRepos[0]: https://a/*");
        assert_eq!(judge_source(&fenced, "https://a/b").rule, "spec.sourceRepos[1]: !https://a/b");
        assert_eq!(judge_source(&fenced, "https://z").rule, "no entry of spec.sourceRepos matches");
        assert_eq!(judge_namespace(&fenced, "team-a", "argocd").rule, "spec.sourceNamespaces[0]: /^team-/");
        assert!(judge_namespace(&fenced, "argocd", "argocd").allowed && !judge_namespace(&fenced, "other", "argocd").allowed);
    }
}
