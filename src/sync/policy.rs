//! What an operation asks for, as far as planning reads it. Pure.

use jiff::Timestamp;

use crate::api::Application;
use crate::api::application::{OperationState, SyncOperationResource};
use crate::resource::Object;
use crate::sync::budget::Budget;
use crate::sync::confirmation;
use crate::sync::hooks::Attempt;

/// What an operation asks for, as far as planning reads it.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent option of the operation")]
pub struct Policy {
    /// Delete what left the target state.
    pub prune: bool,
    /// `PruneLast=true` for the whole application.
    pub prune_last: bool,
    /// `Prune=false` for the whole application.
    pub never_prune: bool,
    /// `Prune=confirm` for the whole application.
    pub confirm_prunes: bool,
    /// How much may be deleted without an approval.
    pub budget: Budget,
    /// A person has approved deletions since the operation began.
    pub deletion_approved: bool,
    /// `ApplyOutOfSyncOnly=true`.
    pub out_of_sync_only: bool,
    /// `SkipDryRunOnMissingResource=true` for the whole application.
    pub allow_missing_kinds: bool,
    /// `Replace=true` for the whole application.
    pub replace: bool,
    /// `ServerSideApply=true` for the whole application.
    pub server_side: bool,
    /// `RespectIgnoreDifferences=true`: ignored fields stay as they are in the cluster.
    pub respect_ignored: bool,
    /// The strategy asks to delete and re-create what cannot be changed.
    pub force: bool,
    /// The namespace to create first, when it is missing.
    pub namespace: Option<Object>,
    /// Only these objects; empty means all.
    pub only: Vec<SyncOperationResource>,
    /// Hooks are left out: strategy `apply`, or a selective sync.
    pub skip_hooks: bool,
    /// Nothing is changed, only asked for.
    pub dry_run: bool,
    /// What hooks of this attempt are marked with.
    pub attempt: Attempt,
}

impl Policy {
    /// Reads the policy of a requested sync. Only the operation's own sync options count, never the spec's.
    #[must_use]
    pub fn of(app: &Application, state: &OperationState) -> Self {
        let sync = state.operation.sync.clone().unwrap_or_default();
        let option = |text: &str| sync.sync_options.iter().any(|one| one == text);
        let strategy = sync.sync_strategy.clone().unwrap_or_default();
        let force = [&strategy.apply, &strategy.hook].into_iter().flatten().any(|options| options.force);
        let since = state.started_at.parse::<Timestamp>().unwrap_or(Timestamp::MAX);
        Self {
            prune: sync.prune,
            prune_last: option("PruneLast=true"),
            never_prune: option("Prune=false"),
            confirm_prunes: option("Prune=confirm"),
            budget: Budget::default(),
            deletion_approved: confirmation::is_approved_since(app, since),
            out_of_sync_only: option("ApplyOutOfSyncOnly=true"),
            allow_missing_kinds: option("SkipDryRunOnMissingResource=true"),
            replace: option("Replace=true"),
            server_side: option("ServerSideApply=true"),
            respect_ignored: option("RespectIgnoreDifferences=true"),
            force,
            namespace: None,
            skip_hooks: strategy.apply.is_some() || !sync.resources.is_empty(),
            only: sync.resources,
            dry_run: sync.dry_run,
            attempt: Attempt {
                started_at: state.started_at.clone(),
                number: state.retry_count,
                revision: state.sync_result.as_ref().map(|result| result.revision.clone()).unwrap_or_default(),
            },
        }
    }
}
