//! The order in which kinds are applied.
//!
//! Source: Argo CD 3.5 sync order (reference section 6.4); unknown kinds come last, ordered by name.

/// Kinds in the order in which they are applied; the group does not matter.
const KINDS: &[&str] = &[
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
];

/// Rank of a kind: lower is applied earlier; kinds that are not listed share the last rank.
#[must_use]
pub fn rank(kind: &str) -> usize {
    KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len())
}

#[cfg(test)]
mod tests {
    use super::rank;

    #[test]
    fn namespaces_come_first_and_unknown_kinds_last() {
        let mut kinds = ["Widget", "Deployment", "Service", "Namespace", "APIService", "ConfigMap"];
        kinds.sort_by_key(|kind| rank(kind));
        assert_eq!(kinds, ["Namespace", "ConfigMap", "Service", "Deployment", "APIService", "Widget"]);
    }
}
