//! Makes a sealing key with the user's rights, as the controller would: by its policy, and never while it makes one itself.

use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use tokio::time::Instant;

use super::place::{PlaceArgs, keyring};
use crate::cli::{Context, Failure};
use crate::keys::claim::{Claim, claim};
use crate::keys::{GeneratedKey, KeyPolicy, KeySecret, generate, store};
use crate::sealing::KeyId;
use crate::ui::stream;

/// How often the right to make a key is asked for.
const POLL: Duration = Duration::from_millis(500);

/// Where a new key goes, and what was found there.
pub struct Making<'a> {
    /// With the rights of the user.
    pub client: &'a Client,
    /// Where keys are looked for.
    pub place: &'a PlaceArgs,
    /// Where the key goes.
    pub namespace: &'a str,
    /// What the key is like.
    pub policy: &'a KeyPolicy,
    /// The active key that the new one follows.
    pub follows: Option<KeyId>,
}

impl Making<'_> {
    /// Makes and stores a key. `limit` bounds the wait for another maker.
    ///
    /// # Errors
    /// When another maker does not end or has made a key meanwhile, and when the key cannot be made or stored.
    pub async fn make(&self, now: Timestamp, limit: Duration, cx: &Context) -> Result<(KeySecret, GeneratedKey), Failure> {
        let claim = self.claim(limit, cx).await?;
        let made = self.make_claimed(now, cx).await;
        claim.release().await;
        made
    }

    /// Asks the API server whether the user may claim; nothing is stored.
    ///
    /// # Errors
    /// When it refuses or cannot be reached.
    pub async fn check_claim(&self, cx: &Context) -> Result<(), Failure> {
        let claimed = claim(self.client, &cx.flags.controller_namespace, "", jiff::Timestamp::now(), true).await;
        claimed.map(drop).map_err(|error| cx.explain(&error, "claim the right to make a sealing key"))
    }

    async fn claim(&self, limit: Duration, cx: &Context) -> Result<Claim, Failure> {
        let holder = format!("kubectl-gitops-{:08x}", rand::random::<u32>());
        let until = Instant::now() + limit;
        loop {
            // Not the clock of the screen: the controller compares it with its own.
            let now = Timestamp::now();
            let claimed = claim(self.client, &cx.flags.controller_namespace, &holder, now, false).await;
            match claimed.map_err(|error| cx.explain(&error, "claim the right to make a sealing key"))? {
                Some(claim) => return Ok(claim),
                None if Instant::now() + POLL > until => {
                    return Err(Failure::new("another maker of sealing keys is at work: the controller, or somebody else")
                        .with_hint(
                            "kubectl gitops keys list shows its key in a moment; then decide whether one more is needed",
                        ));
                }
                None => tokio::time::sleep(POLL).await,
            }
        }
    }

    async fn make_claimed(&self, now: Timestamp, cx: &Context) -> Result<(KeySecret, GeneratedKey), Failure> {
        let active = keyring(self.place.inventory(cx).await?.counting()).active().map(|key| key.id().clone());
        if active != self.follows {
            return Err(Failure::new("a sealing key has just been made by the controller or by somebody else")
                .with_hint("kubectl gitops keys list shows it; run this again if one more is needed"));
        }
        stream::say(&format!("making a key of {} bits; that takes a moment", self.policy.bits));
        let policy = self.policy.clone();
        let task = tokio::task::spawn_blocking(move || generate(&policy, now));
        let key = task.await.map_err(|error| Failure::new("making the key was interrupted").with_cause(&error))??;
        let stored = store::create_key(self.client, self.namespace, &key, self.policy).await;
        let stored = stored.map_err(|error| cx.explain(&error, &format!("store the new sealing key in {:?}", self.namespace)))?;
        Ok((stored, key))
    }
}
