//! Names of the annotations, labels and finalizers that mean something to us, as in Argo CD 3.5.

/// Tracking id on a managed object.
pub const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";
/// Identifies the installation that manages an object.
pub const INSTALLATION_ID: &str = "argocd.argoproj.io/installation-id";
/// Asks the controller to compare again: `normal` or `hard`.
pub const REFRESH: &str = "argocd.argoproj.io/refresh";
/// Makes the controller leave an Application alone.
pub const SKIP_RECONCILE: &str = "argocd.argoproj.io/skip-reconcile";
/// Comma list of sync phases that an object is a hook of.
pub const HOOK: &str = "argocd.argoproj.io/hook";
/// Comma list of hook delete policies.
pub const HOOK_DELETE_POLICY: &str = "argocd.argoproj.io/hook-delete-policy";
/// Integer order within a phase.
pub const SYNC_WAVE: &str = "argocd.argoproj.io/sync-wave";
/// Comma list of sync options of one object.
pub const SYNC_OPTIONS: &str = "argocd.argoproj.io/sync-options";
/// Comma list of compare options of one object or Application.
pub const COMPARE_OPTIONS: &str = "argocd.argoproj.io/compare-options";
/// Exactly `true` keeps an object out of the Application's health.
pub const IGNORE_HEALTHCHECK: &str = "argocd.argoproj.io/ignore-healthcheck";
/// On an Application: a field manager whose updates count as client-side applies.
pub const CLIENT_SIDE_MIGRATION_MANAGER: &str = "argocd.argoproj.io/client-side-apply-migration-manager";
/// RFC 3339 time at which a pending deletion was approved.
pub const DELETION_APPROVED: &str = "argocd.argoproj.io/deletion-approved";
/// Finalizer on hooks while they run.
pub const HOOK_FINALIZER: &str = "argocd.argoproj.io/hook-finalizer";
/// On a hook: the operation, phase and attempt that it was created for.
pub const OPERATION: &str = "kubectl-gitops.io/operation";
/// On an Application: `false` lets a sync that waits go on although there is a newer revision.
pub const SUPERSEDE: &str = "kubectl-gitops.io/supersede";
/// On an Application: who holds its automatic syncs, why and until when, as JSON.
pub const HOLD: &str = "kubectl-gitops.io/hold";
/// On an Application: how much one sync may delete without an approval.
pub const DELETION_BUDGET: &str = "kubectl-gitops.io/deletion-budget";
/// Finalizer that deletes an Application's resources with it, in the foreground.
pub const RESOURCES_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";
/// The same, spelt out.
pub const RESOURCES_FINALIZER_FOREGROUND: &str = "resources-finalizer.argocd.argoproj.io/foreground";
/// Finalizer that deletes an Application's resources in the background.
pub const RESOURCES_FINALIZER_BACKGROUND: &str = "resources-finalizer.argocd.argoproj.io/background";
/// Finalizer that runs an Application's PreDelete hooks.
pub const PRE_DELETE_FINALIZER: &str = "pre-delete-finalizer.argocd.argoproj.io";
/// Finalizer that tidies up after an Application's PreDelete hooks.
pub const PRE_DELETE_CLEANUP: &str = "pre-delete-finalizer.argocd.argoproj.io/cleanup";
/// Finalizer that runs an Application's PostDelete hooks.
pub const POST_DELETE_FINALIZER: &str = "post-delete-finalizer.argocd.argoproj.io";
/// Finalizer that tidies up after an Application's PostDelete hooks.
pub const POST_DELETE_CLEANUP: &str = "post-delete-finalizer.argocd.argoproj.io/cleanup";
/// Helm's hook annotation.
pub const HELM_HOOK: &str = "helm.sh/hook";
/// Helm's hook order.
pub const HELM_HOOK_WEIGHT: &str = "helm.sh/hook-weight";
/// Helm's hook delete policy.
pub const HELM_HOOK_DELETE_POLICY: &str = "helm.sh/hook-delete-policy";
/// Helm's resource policy; `keep` survives a cascading deletion.
pub const HELM_RESOURCE_POLICY: &str = "helm.sh/resource-policy";
/// What kubectl's client-side apply remembers.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Label that marks a managed object under the tracking method `label`.
pub const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";
/// Field manager of everything we apply; Argo CD's, so that ownership survives a move in either direction.
pub const FIELD_MANAGER: &str = "argocd-controller";
