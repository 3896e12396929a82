//! Several keys: which is active, and in which order they are tried.

use std::sync::Arc;

use jiff::Timestamp;

use super::envelope::{may_open, open};
use super::{Certificate, KeyError, KeyId, Label, Plaintext, PrivateKey};

/// A private key with the certificate of its public half.
#[derive(Debug)]
pub struct SealingKey {
    private: PrivateKey,
    certificate: Certificate,
}

impl SealingKey {
    /// Joins the two halves. `None` when they do not belong together: what such a certificate seals can never be opened.
    #[must_use]
    pub fn new(private: PrivateKey, certificate: Certificate) -> Option<Self> {
        (private.id() == certificate.key_id()).then_some(Self { private, certificate })
    }

    /// Reads both halves from PEM.
    ///
    /// # Errors
    /// When the private key cannot be read. The certificate is given, so its errors are the caller's.
    pub fn from_pem(private: &str, certificate: Certificate) -> Result<Option<Self>, KeyError> {
        Ok(Self::new(PrivateKey::from_pem(private)?, certificate))
    }

    /// Takes a private key whose certificate is lost. It opens what it opened; nothing can be sealed with it.
    ///
    /// # Errors
    /// When its public half cannot be made.
    pub fn without_certificate(private: PrivateKey) -> Result<Self, KeyError> {
        let certificate = Certificate::absent(private.public()?);
        Ok(Self { private, certificate })
    }

    /// The id of the key pair.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        self.private.id()
    }

    /// The certificate.
    #[must_use]
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

/// The keys that open SealedSecrets, newest first.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    keys: Vec<Arc<SealingKey>>,
    active_since: Option<Timestamp>,
    /// Private keys without a certificate: they open and never seal.
    bare: Vec<Arc<PrivateKey>>,
}

/// What helps to find the right key at once, and what finding it has cost.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    /// The key that opened this object last time.
    pub last: Option<KeyId>,
    /// An instant at which the object existed already: the key that sealed it is not younger.
    pub sealed_by: Option<Timestamp>,
    /// Private RSA operations so far.
    pub operations: u64,
}

impl Keyring {
    /// Sorts keys by the start of their validity; of equals the first given stays in front. A key given twice counts once.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = Arc<SealingKey>>) -> Self {
        Self::ordered(keys.into_iter().map(|key| (key.certificate.not_before, key)))
    }

    /// Sorts keys by the instants given with them; of equals the first given stays in front. A key given twice counts once, with
    /// its later instant.
    #[must_use]
    pub fn ordered(keys: impl IntoIterator<Item = (Timestamp, Arc<SealingKey>)>) -> Self {
        let mut sorted: Vec<(Timestamp, Arc<SealingKey>)> = Vec::new();
        for (instant, key) in keys {
            match sorted.iter_mut().find(|(_, known)| known.id() == key.id()) {
                Some(known) if known.0 < instant => *known = (instant, key),
                Some(_) => {}
                None => sorted.push((instant, key)),
            }
        }
        sorted.sort_by_key(|(instant, _)| std::cmp::Reverse(*instant));
        Self {
            active_since: sorted.first().map(|(instant, _)| *instant),
            keys: sorted.into_iter().map(|(_, key)| key).collect(),
            bare: Vec::new(),
        }
    }

    /// Adds private keys without certificates, as recovery from files has them. They open, in this order, after the others.
    #[must_use]
    pub fn with_private_keys(mut self, keys: impl IntoIterator<Item = Arc<PrivateKey>>) -> Self {
        self.bare.extend(keys);
        self
    }

    /// The instant that puts the active key in front of the others.
    #[must_use]
    pub const fn active_since(&self) -> Option<Timestamp> {
        self.active_since
    }

    /// The key to seal with: the one whose certificate became valid last.
    #[must_use]
    pub fn active(&self) -> Option<&Arc<SealingKey>> {
        self.keys.first()
    }

    /// Whether there is nothing to open with.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.bare.is_empty()
    }

    /// All keys with a certificate, newest first.
    #[must_use]
    pub fn keys(&self) -> &[Arc<SealingKey>] {
        &self.keys
    }

    /// Opens one item with whichever key fits, and remembers that key in `trial` for the next item.
    ///
    /// Tried in this order: the key that worked last, then the keys that existed when the object was sealed, newest first, then
    /// the others. So one operation per item is the rule, whatever the number of old keys.
    pub fn open(&self, label: &Label, sealed: &[u8], trial: &mut Trial) -> Option<Plaintext> {
        for key in self.trial_order(trial) {
            if !may_open(key, sealed) {
                continue;
            }
            trial.operations += 1;
            if let Some(plaintext) = open(key, label, sealed) {
                trial.last = Some(key.id().clone());
                return Some(plaintext);
            }
        }
        None
    }

    fn trial_order(&self, trial: &Trial) -> Vec<&PrivateKey> {
        let mut order: Vec<&SealingKey> = self.keys.iter().map(Arc::as_ref).collect();
        // Stable: within each rank the newest stays in front.
        order.sort_by_key(|key| {
            if Some(key.id()) == trial.last.as_ref() {
                0
            } else if trial.sealed_by.is_none_or(|instant| key.certificate.not_before <= instant) {
                1
            } else {
                2
            }
        });
        order.into_iter().map(|key| &key.private).chain(self.bare.iter().map(Arc::as_ref)).collect()
    }
}
