//! A Secret of the cluster goes to Git only sealed: its values into the SealedSecret that the source holds of it.

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use serde_json::{Map, Value};

use super::files::Files;
use super::plain::find;
use crate::api::SealedSecret;
use crate::cli::keys::certificate;
use crate::cli::seal::sealed_for;
use crate::cli::{Context, Failure};
use crate::keys::store::SERVICE;
use crate::resource::ResourceKey;
use crate::sealing::{Plaintext, SessionKey, encode_base64, seal};

/// What was sealed.
pub struct SealedLive {
    /// The SealedSecret, as a difference names it.
    pub object: String,
    /// Its keys with new ciphertext.
    pub keys: Vec<String>,
}

/// Seals the values that a Secret has in the cluster into its SealedSecret; `None` when the source has none of this name.
///
/// All values get new ciphertext: which of them were changed in the cluster cannot be told without the private key.
pub async fn seal_live(files: &mut Files, name: &str, namespace: &str, cx: &Context) -> Result<Option<SealedLive>, Failure> {
    let key = ResourceKey::new("bitnami.com", "SealedSecret", namespace, name);
    let Some((path, number, mut wanted)) = find(files, &key, namespace) else { return Ok(None) };
    let unreadable =
        |error: serde_json::Error| Failure::new(format!("{path}: SealedSecret {name} cannot be read")).with_cause(&error);
    let mut present: SealedSecret = serde_json::from_value(wanted.clone()).map_err(unreadable)?;
    // A manifest without a namespace goes to the Application's.
    let namespace = present.metadata.namespace.get_or_insert_with(|| namespace.to_owned()).clone();
    let secrets: Api<Secret> = Api::namespaced(cx.client().await?, &namespace);
    let live = secrets.get(name).await.map_err(|error| cx.explain(&error, &format!("read Secret {namespace}/{name}")))?;
    let certificate = certificate::obtain(None, SERVICE, cx).await?;
    let label = sealed_for(&present).label();
    let template = present.spec.template.as_ref().and_then(|template| template.data.clone()).unwrap_or_default();
    let mut items = Map::new();
    for (key, value) in live.data.unwrap_or_default() {
        let value = Plaintext::new(value.0);
        // What the template makes is not sealed.
        if template.contains_key(&key) {
            continue;
        }
        let blob = seal(certificate.public_key(), &label, &SessionKey::new(rand::random()), value.reveal())?;
        items.insert(key, Value::from(encode_base64(&blob)));
    }
    let keys = items.keys().cloned().collect();
    wanted["spec"]["encryptedData"] = Value::Object(items);
    files.change(&path, number, wanted)?;
    Ok(Some(SealedLive { object: ResourceKey { namespace, ..key }.to_string(), keys }))
}
