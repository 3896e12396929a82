//! Which ciphertext may stay because the value behind it is known to be the same.
//!
//! Ciphertext is random, so sealing an unchanged value again would change its line in Git for nothing. What a present item holds is
//! known from a backup of the keys; or from the cluster, where its controller has opened the very same item into a Secret that
//! this user may read. No digest of a value is kept anywhere: it would permit guessing.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::Api;
use tokio::time::timeout;

use super::SealArgs;
use crate::api::SealedSecret;
use crate::cli::{Context, Failure};
use crate::sealing::{Keyring, Plaintext, Target, Trial, decode_base64};
use crate::ui::stream;

/// How long one Secret of the cluster is waited for: what it tells is welcome, not needed.
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// What is known about values behind present items.
#[derive(Default)]
pub struct Known {
    keys: Option<Keyring>,
    live: BTreeMap<(String, String), Live>,
    /// Why something is not known.
    pub gap: Option<String>,
}

/// A SealedSecret of the cluster and what its controller made of it.
struct Live {
    items: BTreeMap<String, String>,
    values: BTreeMap<String, Plaintext>,
}

impl Known {
    /// From a backup of the keys.
    pub fn from_keys(keys: Keyring) -> Self {
        Self { keys: Some(keys), ..Self::default() }
    }

    /// By the backup if one was given, else by the cluster unless --cert says to leave it alone.
    ///
    /// # Errors
    /// When the backup does not open. A cluster that does not answer is no error.
    pub async fn find(args: &SealArgs, targets: &[Target], cx: &Context) -> Result<Self, Failure> {
        if args.recovery.is_given() {
            return Ok(Self::from_keys(args.recovery.keyring()?));
        }
        let mut known = Self::default();
        if args.cert.is_some() {
            known.gap = Some("with --cert no cluster is asked".to_owned());
            return Ok(known);
        }
        let client = match cx.client().await {
            Ok(client) => client,
            Err(failure) => {
                known.gap = Some(failure.what);
                return Ok(known);
            }
        };
        for target in targets.iter().filter(|target| !target.namespace.is_empty()) {
            match timeout(ASK_WITHIN, live(target, &client)).await {
                Ok(Ok(live)) => {
                    known.live.extend(live.map(|live| ((target.namespace.clone(), target.name.clone()), live)));
                }
                Ok(Err(error)) => {
                    let what = format!("read Secret {}/{}", target.namespace, target.name);
                    known.gap.get_or_insert(cx.explain(&error, &what).what);
                }
                Err(_) => {
                    known.gap.get_or_insert("the cluster does not answer".to_owned());
                    break;
                }
            }
        }
        Ok(known)
    }

    /// Whether the present item of a key is known to hold this value. `false` says nothing.
    pub fn is_same(&self, target: &Target, key: &str, item: &str, value: &Plaintext, trial: &mut Trial) -> bool {
        if let Some(keys) = &self.keys {
            let opened = decode_base64(item).ok().and_then(|blob| keys.open(&target.label(), &blob, trial));
            return opened.as_ref() == Some(value);
        }
        let live = self.live.get(&(target.namespace.clone(), target.name.clone()));
        live.is_some_and(|live| live.items.get(key).is_some_and(|one| one == item) && live.values.get(key) == Some(value))
    }

    /// Says on standard error that values were sealed again only because nothing is known about them.
    pub fn say_gap(&self, changed: usize) {
        if let Some(gap) = self.gap.as_ref().filter(|_| changed > 0) {
            let what = format!("values may be sealed again without having changed: {gap}");
            stream::say(&crate::ui::problem::note(&what, Some("--key BACKUP compares offline")));
        }
    }
}

/// What the cluster has, if its controller has dealt with the present version.
async fn live(target: &Target, client: &Client) -> Result<Option<Live>, kube::Error> {
    let sealed: Api<SealedSecret> = Api::namespaced(client.clone(), &target.namespace);
    let Some(sealed) = sealed.get_opt(&target.name).await?.filter(is_current) else { return Ok(None) };
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &target.namespace);
    let Some(secret) = secrets.get_opt(&target.name).await? else { return Ok(None) };
    let values = secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, Plaintext::new(value.0))).collect();
    Ok(Some(Live { items: sealed.spec.encrypted_data, values }))
}

/// A Secret that its controller has not brought up to date shows older values.
fn is_current(sealed: &SealedSecret) -> bool {
    let Some(status) = &sealed.status else { return false };
    let is_synced = status.conditions.iter().any(|one| one.type_ == "Synced" && one.status == "True");
    is_synced && status.observed_generation == sealed.metadata.generation
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealing::Scope;

    #[test]
    fn a_live_value_counts_only_for_the_item_that_it_came_from() {
        let text = |text: &str| text.to_owned();
        let live =
            Live { items: [(text("a"), text("ITEM"))].into(), values: [(text("a"), Plaintext::new(b"1".to_vec()))].into() };
        let known = Known { live: [((text("web"), text("db")), live)].into(), ..Known::default() };
        let target = Target::new("web", "db", Scope::Strict);
        let is_same = |target: &Target, key: &str, item: &str, value: &str| {
            known.is_same(target, key, item, &Plaintext::new(value.as_bytes().to_vec()), &mut Trial::default())
        };
        assert!(is_same(&target, "a", "ITEM", "1"));
        assert!(!is_same(&target, "a", "ITEM", "2"), "another value");
        assert!(!is_same(&target, "a", "OLDER", "1"), "the file's item is not the one that was opened");
        assert!(!is_same(&target, "b", "ITEM", "1"));
        assert!(!is_same(&Target::new("web", "other", Scope::Strict), "a", "ITEM", "1"));
    }

    #[test]
    fn a_secret_that_is_behind_shows_nothing() {
        let sealed = |generation: i64, status: &str| {
            let value = serde_json::json!({
                "metadata": {"name": "db", "generation": generation}, "spec": {"encryptedData": {}},
                "status": {"observedGeneration": 2, "conditions": [{"type": "Synced", "status": status}]},
            });
            serde_json::from_value::<SealedSecret>(value).is_ok_and(|sealed| is_current(&sealed))
        };
        assert_eq!([sealed(2, "True"), sealed(3, "True"), sealed(2, "False")], [true, false, false]);
    }
}
