//! Makes one sealing key, also when several controllers find at the same moment that it is time.

use jiff::Timestamp;

use super::SealingContext;
use super::keys::keyring;
use crate::advice;
use crate::keys::renewal::{self, Reason, Renewal};
use crate::keys::{GeneratedKey, KeySecret, claim, generate, store};

/// What came of it.
pub(super) enum Made {
    /// A new key is stored.
    New(Box<KeySecret>),
    /// Not now: something failed, or another controller is at it, whose key the watch will tell of.
    Failed,
}

/// Makes a key if, under the claim, it still is time.
pub(super) async fn make(cx: &SealingContext, reason: Reason) -> Made {
    let claimed = claim::claim(&cx.client, &cx.control_namespace, &cx.options.identity, Timestamp::now(), false).await;
    let claim = match claimed {
        Ok(Some(claim)) => claim,
        Ok(None) => return Made::Failed,
        Err(error) => {
            tracing::error!(%error, "cannot claim the right to make a sealing key, trying again");
            return Made::Failed;
        }
    };
    let made = make_claimed(cx, reason).await;
    claim.release().await;
    made.map_or(Made::Failed, |secret| Made::New(Box::new(secret)))
}

async fn make_claimed(cx: &SealingContext, reason: Reason) -> Option<KeySecret> {
    let policy = &cx.options.key_policy;
    let present = present_keys(cx).await?;
    let stored: Vec<_> = present.iter().map(KeySecret::read).collect();
    let keys = keyring(stored.iter(), policy.order);
    let is_due = || matches!(renewal::next(keys.active_since(), policy, Timestamp::now()), Renewal::Now(_));
    if reason != Reason::Asked && !is_due() {
        return None;
    }
    let active = keys.active().map(|key| key.id().clone());
    let home = stored.iter().find(|stored| stored.key.as_ref().ok().map(|key| key.id()) == active.as_ref() && active.is_some());
    let namespace = home.map_or(cx.control_namespace.as_str(), |home| home.namespace.as_str());
    tracing::info!(%reason, namespace, "generating a sealing key");
    let key = generated(cx).await?;
    match store::create_key(&cx.client, namespace, &key, policy).await {
        Ok(secret) => {
            tracing::info!(
                secret = secret.name(),
                namespace,
                fingerprint = key.certificate.fingerprint,
                certificate = key.certificate.pem,
                "sealing key created; back it up: kubectl gitops keys backup"
            );
            Some(secret)
        }
        Err(error) => {
            tracing::error!(%error, namespace, "cannot store the new sealing key, trying again");
            None
        }
    }
}

/// The keys as they are now: what the watches show may be older than another controller's key.
pub(super) async fn present_keys(cx: &SealingContext) -> Option<Vec<KeySecret>> {
    let mut all = Vec::new();
    for namespace in cx.key_namespaces() {
        match store::list_keys(&cx.client, &namespace).await {
            Ok(found) => all.extend(found),
            Err(error) if namespace != cx.control_namespace => tracing::debug!(%error, namespace, "cannot list sealing keys"),
            Err(error) => {
                tracing::error!(%error, namespace, "cannot list sealing keys, trying again");
                return None;
            }
        }
    }
    Some(all)
}

async fn generated(cx: &SealingContext) -> Option<GeneratedKey> {
    let policy = cx.options.key_policy.clone();
    match tokio::task::spawn_blocking(move || generate(&policy, Timestamp::now())).await {
        Ok(Ok(key)) => Some(key),
        Ok(Err(error)) => {
            tracing::error!(error = advice::one_line(&error, &error), "cannot generate a sealing key, trying again");
            None
        }
        Err(error) => {
            tracing::error!(%error, "cannot generate a sealing key, trying again");
            None
        }
    }
}
