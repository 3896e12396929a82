//! Where the keys are looked for.

use clap::Args;

use crate::cli::{Context, Failure};
use crate::keys::inventory::{self, Inventory};
use crate::keys::{KeySecret, StoredKey};
use crate::sealing::Keyring;
use crate::ui::stream;

/// Where the keys are looked for.
#[derive(Debug, Args)]
pub struct PlaceArgs {
    /// Namespace with sealing keys; may be given several times. Without it: the controller's namespace, and kube-system, where
    /// Sealed Secrets keeps its keys
    #[arg(
        long = "key-namespace",
        value_name = "NAMESPACE",
        env = "GITOPS_KEY_NAMESPACE",
        hide_env_values = true,
        value_delimiter = ','
    )]
    namespaces: Vec<String>,
}

impl PlaceArgs {
    /// Their names.
    pub fn namespaces(&self, cx: &Context) -> Vec<String> {
        if self.namespaces.is_empty() {
            return inventory::key_namespaces(&cx.flags.controller_namespace);
        }
        self.namespaces.clone()
    }

    /// Lists the keys, and says where it was not allowed to look.
    pub async fn inventory(&self, cx: &Context) -> Result<Inventory, Failure> {
        let client = cx.client().await?;
        let namespaces = self.namespaces(cx);
        let first = namespaces.first().cloned().unwrap_or_default();
        let inventory = inventory::list(&client, &namespaces).await;
        let inventory = inventory.map_err(|error| cx.explain(&error, &format!("list sealing keys in {first:?}")))?;
        for namespace in &inventory.skipped {
            stream::say(&format!("note: no right to list Secrets in {namespace:?}; keys there are not seen"));
        }
        Ok(inventory)
    }

    /// As [`PlaceArgs::inventory`], when nothing can be done without a key.
    pub async fn keys(&self, cx: &Context) -> Result<Inventory, Failure> {
        let inventory = self.inventory(cx).await?;
        if inventory.secrets.is_empty() {
            let places = self.namespaces(cx).iter().map(|namespace| format!("{namespace:?}")).collect::<Vec<_>>().join(" or ");
            return Err(Failure::new(format!("there is no sealing key in {places}"))
                .with_hint("--controller-namespace NAMESPACE, or --key-namespace NAMESPACE"));
        }
        Ok(inventory)
    }
}

/// The keys of these Secrets that can be used.
pub fn keyring<'a>(secrets: impl IntoIterator<Item = &'a KeySecret>) -> Keyring {
    let stored: Vec<StoredKey> = secrets.into_iter().map(KeySecret::read).collect();
    Keyring::new(stored.iter().filter_map(|key| key.key.as_ref().ok()).cloned())
}

/// `namespace/name` of a key Secret.
pub fn full_name(secret: &KeySecret) -> String {
    format!("{}/{}", secret.metadata.namespace.as_deref().unwrap_or_default(), secret.name())
}

/// The beginning of a fingerprint, long enough to tell keys apart.
pub fn short(fingerprint: &str) -> &str {
    fingerprint.get(..19).unwrap_or(fingerprint)
}

/// `1 key`, `2 keys`.
pub fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
