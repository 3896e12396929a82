//! Life of the sealing keys: read from Secrets, created, published, backed up, and proven to open what Git holds.
//!
//! ```text
//! Secrets (label …/sealed-secrets-key=active) ──read──> Keyring ──> sealing
//!        ^                    │                            └─active─> ConfigMap gitops-sealing-certificate (public)
//!     create                  └──backup──> age file ──drill──> "142/142 recoverable"
//! ```
//!
//! Private keys leave this module only inside [`crate::sealing::Keyring`], which cannot print them, and inside encrypted backups.

pub mod backup;
pub mod claim;
mod custody;
pub mod drill;
mod generate;
pub mod inventory;
pub mod policy;
mod published;
pub mod remote;
pub mod renewal;
pub mod restore;
mod secret;
pub mod shares;
pub mod store;
pub mod stored_backup;
pub mod usage;

pub use custody::{Custody, LAST_DRILL, LAST_DRILL_FILE, Proof, RETIRED, Standing, unbacked};
pub use generate::{GenerateError, GeneratedKey, generate};
pub use policy::{KeyOrder, KeyPolicy};
pub use published::{CERTIFICATE_MAP, CERTIFICATE_PEM, FINGERPRINT, Published};
pub use secret::{ACTIVE_LABEL, BrokenKey, KeySecret, LAST_BACKUP, LAST_BACKUP_FILE, LEGACY_NAME, StoredKey};
