//! Any Kubernetes object: identity, YAML streams, annotations, tracking id, kind order. Pure.

pub mod annotations;
pub mod base64;
pub mod images;
mod key;
mod merge_patch;
mod object;
pub mod order;
pub mod pem;
pub mod pkcs8;
pub mod tracking;
pub mod yaml;

pub use key::{GroupKind, ResourceKey};
pub use merge_patch::merge_patch;
pub use object::Object;
