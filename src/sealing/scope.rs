//! Scopes, the labels that bind a ciphertext to a place, and the annotations that select them.

use std::fmt;
use std::str::FromStr;

use kube::core::ObjectMeta;

/// Annotation of a SealedSecret that may be moved within its namespace; only the exact value `true` counts.
pub const NAMESPACE_WIDE: &str = "sealedsecrets.bitnami.com/namespace-wide";
/// Annotation of a SealedSecret that may be moved anywhere; only the exact value `true` counts.
pub const CLUSTER_WIDE: &str = "sealedsecrets.bitnami.com/cluster-wide";
/// Annotation of an existing Secret that may be overwritten and adopted.
pub const MANAGED: &str = "sealedsecrets.bitnami.com/managed";
/// Annotation of an existing Secret that may be added to.
pub const PATCH: &str = "sealedsecrets.bitnami.com/patch";
/// Annotation of a template whose Secret gets no owner reference.
pub const SKIP_OWNER_REFERENCES: &str = "sealedsecrets.bitnami.com/skip-set-owner-references";
/// Label of the Secrets that we opened; it lets the controller watch those and no others.
pub const UNSEALED: &str = "kubectl-gitops.io/unsealed";
/// Annotation of a Secret that we opened: what it was opened from. Nothing in it depends on plaintext.
pub const UNSEALED_FROM: &str = "kubectl-gitops.io/unsealed-from";
/// Annotation of a SealedSecret: with the value `false`, its Secret is left as people change or delete it until the SealedSecret
/// itself changes.
pub const HEAL: &str = "kubectl-gitops.io/heal";
/// Annotation of a Secret that we opened: the key that opened it.
pub const UNSEALED_WITH: &str = "kubectl-gitops.io/unsealed-with";

/// How far a sealed item may be moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Only this namespace and name.
    #[default]
    Strict,
    /// Any name in this namespace.
    NamespaceWide,
    /// Any namespace and name.
    ClusterWide,
}

impl Scope {
    /// Reads the scope from metadata: exactly `true` counts, cluster-wide wins, everything else is strict.
    #[must_use]
    pub fn of(metadata: &ObjectMeta) -> Self {
        let annotation = |name| metadata.annotations.as_ref().and_then(|all| all.get(name)).map(String::as_str);
        Self::from_annotations(annotation)
    }

    /// The same for any way of looking up an annotation.
    pub fn from_annotations<'a>(annotation: impl Fn(&'static str) -> Option<&'a str>) -> Self {
        if annotation(CLUSTER_WIDE) == Some("true") {
            Self::ClusterWide
        } else if annotation(NAMESPACE_WIDE) == Some("true") {
            Self::NamespaceWide
        } else {
            Self::Strict
        }
    }

    /// The annotation that selects this scope; strict has none.
    #[must_use]
    pub const fn annotation(self) -> Option<&'static str> {
        match self {
            Self::Strict => None,
            Self::NamespaceWide => Some(NAMESPACE_WIDE),
            Self::ClusterWide => Some(CLUSTER_WIDE),
        }
    }

    /// The name that flags and messages use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::NamespaceWide => "namespace-wide",
            Self::ClusterWide => "cluster-wide",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Strict, Self::NamespaceWide, Self::ClusterWide]
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| "must be one of: strict, namespace-wide, cluster-wide".to_owned())
    }
}

/// Where a sealed item may be opened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Namespace of the final object.
    pub namespace: String,
    /// Name of the final object.
    pub name: String,
    /// How far it may be moved.
    pub scope: Scope,
}

impl Target {
    /// Makes a target.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>, scope: Scope) -> Self {
        Self { namespace: namespace.into(), name: name.into(), scope }
    }

    /// The target that a SealedSecret's own metadata stands for.
    #[must_use]
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self::new(metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default(), Scope::of(metadata))
    }

    /// The bytes that the session key is bound to.
    #[must_use]
    pub fn label(&self) -> Label {
        Label(match self.scope {
            Scope::Strict => format!("{}/{}", self.namespace, self.name),
            Scope::NamespaceWide => self.namespace.clone(),
            Scope::ClusterWide => String::new(),
        })
    }
}

/// Prints what people call the place: `namespace/name`, `namespace/*` or `*/*`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            Scope::Strict => write!(f, "{}/{}", self.namespace, self.name),
            Scope::NamespaceWide => write!(f, "{}/*", self.namespace),
            Scope::ClusterWide => f.write_str("*/*"),
        }
    }
}

/// The OAEP label of a sealed item: it binds the session key, and nothing else, to a place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label(String);

impl Label {
    /// The label's bytes; empty for cluster-wide.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(annotations: &[(&'static str, &'static str)]) -> Scope {
        Scope::from_annotations(|name| annotations.iter().find(|(key, _)| *key == name).map(|(_, value)| *value))
    }

    #[test]
    fn only_exactly_true_widens_and_cluster_wide_wins() {
        assert_eq!(scope(&[]), Scope::Strict);
        assert_eq!(scope(&[(NAMESPACE_WIDE, "true")]), Scope::NamespaceWide);
        assert_eq!(scope(&[(NAMESPACE_WIDE, "true"), (CLUSTER_WIDE, "true")]), Scope::ClusterWide);
        for value in ["True", "1", "yes", ""] {
            assert_eq!(scope(&[(CLUSTER_WIDE, value)]), Scope::Strict, "{value:?}");
        }
    }

    #[test]
    fn labels_are_the_bytes_of_the_wire_format() {
        let label = |scope| String::from_utf8_lossy(Target::new("web", "db", scope).label().as_bytes()).into_owned();
        assert_eq!(label(Scope::Strict), "web/db");
        assert_eq!(label(Scope::NamespaceWide), "web");
        assert_eq!(label(Scope::ClusterWide), "");
        assert_eq!(Target::new("", "db", Scope::Strict).label().as_bytes(), b"/db");
    }

    #[test]
    fn an_unknown_scope_names_the_known_ones() {
        assert_eq!("global".parse::<Scope>(), Err("must be one of: strict, namespace-wide, cluster-wide".to_owned()));
    }
}
