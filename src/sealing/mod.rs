//! Seals Secrets and opens SealedSecrets, byte for byte as Sealed Secrets 0.36 does.
//!
//! Pure: keys, certificates, session keys and instants are arguments. (The padding seed of the public RSA operation is drawn
//! inside the cryptographic library; it is never stored and never decides anything.)
//!
//! ```text
//! Secret ──seal_secret──> SealedSecret          one sealed item:
//! SealedSecret ──unseal──> OpenedSecret         | R: 2 bytes | RSA-OAEP(session key): R bytes | AES-256-GCM + tag |
//! ```
//!
//! Source: Sealed Secrets 0.36.6, checked against its own client in both directions.

mod certificate;
mod diagnosis;
mod envelope;
mod key;
mod keyring;
mod opened;
mod plaintext;
mod reseal;
mod scope;
mod seal;
mod templates;
mod unseal;
mod write;

use crate::resource::base64;
pub use crate::resource::base64::{Base64Error, decode as decode_base64, encode as encode_base64};
pub use crate::resource::pem;
pub use certificate::{Certificate, CertificateError};
pub use diagnosis::{Diagnosis, recorded_place};
pub use envelope::{SealError, SessionKey, open, seal};
pub use key::{KeyError, KeyId, PrivateKey, PublicKey, pkcs1_from_pkcs8};
pub use keyring::{Keyring, SealingKey, Trial};
pub use opened::{OpenedSecret, SecretManifest, Source, managed_by_us, skips_owner_reference, wipe};
pub use plaintext::Plaintext;
pub use reseal::{Items, ResealError, Resealed, reseal, reseal_as};
pub use scope::{
    CLUSTER_WIDE, HEAL, Label, MANAGED, NAMESPACE_WIDE, PATCH, SKIP_OWNER_REFERENCES, Scope, Target, UNSEALED, UNSEALED_FROM,
    UNSEALED_WITH,
};
pub use seal::{SealSecretError, SealedFor, seal_secret};
pub(crate) use seal::{template as secret_template, values as secret_values};
pub use unseal::{ItemFailures, Templates, UnsealError, opens_as, unseal, unseal_as, unseal_rendering};
pub use write::{Ownership, Write, ownership, plan_write};

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
