//! What a sync does around hooks besides creating them: letting go of them, deleting them, making sure that they are gone.

use super::{DELETION_POLL, Executor, failure_text};
use crate::api::application::ResourceResult;
use crate::cluster::{ClusterError, KindInfo};
use crate::resource::ResourceKey;
use crate::resource::annotations::HOOK_FINALIZER;
use crate::sync::hooks::HookPhase;
use crate::sync::plan::Cleanup;
use crate::sync::results::{key_of, kubectl_name};

/// How often the finalizer of a hook that others keep changing is tried.
const RELEASE_TRIES: usize = 5;

impl Executor {
    /// Drops results that call an object missing which the API server still has: the cache may lag behind after a new list.
    pub async fn without_false_alarms(&self, results: Vec<ResourceResult>) -> Vec<ResourceResult> {
        let mut confirmed = Vec::new();
        for result in results {
            if result.hook_phase != HookPhase::Error.as_str() || self.is_missing(&key_of(&result)).await {
                confirmed.push(result);
            }
        }
        confirmed
    }

    async fn is_missing(&self, key: &ResourceKey) -> bool {
        match self.kind(key).await {
            Ok(kind) => self.writer.get(&kind, key).await.is_ok_and(|live| live.is_none()),
            Err(error) => matches!(error, ClusterError::UnknownKind { .. }),
        }
    }

    /// Tidies up after hooks. What is gone already is fine; the first failure ends it, and doing it again does no harm.
    ///
    /// # Errors
    /// With a text that names the object.
    pub async fn clean(&self, cleanups: &[Cleanup]) -> Result<(), String> {
        for cleanup in cleanups {
            if let Err(error) = self.clean_one(cleanup).await {
                return Err(format!("cannot tidy up after hook {}: {}", cleanup.key, failure_text(&cleanup.key, &error)));
            }
        }
        Ok(())
    }

    async fn clean_one(&self, cleanup: &Cleanup) -> Result<(), ClusterError> {
        let key = &cleanup.key;
        let kind = match self.kind(key).await {
            Err(ClusterError::UnknownKind { .. }) => return Ok(()),
            other => other?,
        };
        let Some(uid) = self.release(&kind, key, cleanup.uid.as_deref()).await? else { return Ok(()) };
        if !cleanup.delete {
            return Ok(());
        }
        match self.writer.delete(&kind, key, Some(&uid), self.propagation).await {
            // Another object has taken its place.
            Err(ClusterError::Conflict { .. }) => Ok(()),
            other => other,
        }
    }

    async fn release(&self, kind: &KindInfo, key: &ResourceKey, uid: Option<&str>) -> Result<Option<String>, ClusterError> {
        for _ in 0..RELEASE_TRIES {
            match self.writer.remove_finalizer(kind, key, uid, HOOK_FINALIZER).await {
                Err(ClusterError::Conflict { .. }) => tokio::time::sleep(DELETION_POLL).await,
                Err(error) => return Err(error),
                Ok(None) => return Ok(None),
                Ok(Some((uid, stored))) => {
                    // An object that only waited for its finalizer is gone now; the watch tells.
                    if let Some(stored) = stored.filter(|stored| !stored.is_being_deleted()) {
                        self.cache.observe(stored);
                    }
                    return Ok(Some(uid));
                }
            }
        }
        Err(ClusterError::Conflict { message: format!("{} keeps changing", kubectl_name(key)) })
    }
}
