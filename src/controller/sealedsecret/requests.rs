//! What others ask of the keys: does this open, and put this under the newest key.
//!
//! Nobody learns more than that: no reason, no plaintext, no rendered template. One request decrypts at a time, beside the
//! reconciles and off the threads that answer.

use std::sync::Arc;

use super::SealingContext;
use super::context::Counters;
use crate::api::SealedSecret;
use crate::sealing::{Items, Keyring, SessionKey, Target, Trial, opens_as, reseal};

/// What came of a request to rotate.
#[derive(Debug)]
pub enum Rotation {
    /// The object under the newest key, as JSON without `apiVersion` and `kind`, which is how upstream answers.
    Done(String),
    /// It does not open, or there is no key.
    Refused,
}

impl SealingContext {
    /// Whether every item opens where the object says it is. The template is not looked at.
    pub async fn verify(&self, sealed: SealedSecret) -> bool {
        self.with_keys(move |keys, trial| opens(&sealed, keys, trial)).await.unwrap_or(false)
    }

    /// Puts every item under the newest key and leaves the rest of the object alone.
    pub async fn rotate(&self, sealed: SealedSecret) -> Rotation {
        let json = self.with_keys(move |keys, trial| renewed(&sealed, keys, trial)).await.flatten();
        json.map_or(Rotation::Refused, Rotation::Done)
    }

    /// Runs on a thread that may block. A caller who goes away does not free the turn before the work is done.
    async fn with_keys<T: Send + 'static>(&self, work: impl FnOnce(&Keyring, &mut Trial) -> T + Send + 'static) -> Option<T> {
        // Cannot fail: the semaphore is never closed.
        let turn = Arc::clone(&self.requests).acquire_owned().await.ok()?;
        let keys = self.keys.borrow().clone();
        let task = tokio::task::spawn_blocking(move || {
            let mut trial = Trial::default();
            let answer = work(&keys, &mut trial);
            drop(turn);
            (answer, trial.operations)
        });
        let (answer, operations) = task.await.ok()?;
        Counters::add(&self.counters().private_key_operations, operations);
        Some(answer)
    }
}

fn opens(sealed: &SealedSecret, keys: &Keyring, trial: &mut Trial) -> bool {
    let mixes_formats = sealed.spec.data.is_some() && !sealed.spec.encrypted_data.is_empty();
    !mixes_formats && opens_as(sealed, &Target::of(&sealed.metadata), keys, trial)
}

fn renewed(sealed: &SealedSecret, keys: &Keyring, trial: &mut Trial) -> Option<String> {
    let active = keys.active()?;
    let mut session_key = || SessionKey::new(rand::random());
    let mut resealed = reseal(sealed, keys, active.certificate(), Items::All, &mut session_key, trial).ok()?.sealed;
    resealed.types = None;
    serde_json::to_string(&resealed).ok()
}
