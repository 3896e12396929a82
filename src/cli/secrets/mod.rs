//! What the commands about secrets share: files, backups of keys, the SealedSecrets in a stream.

pub(super) mod files;
pub(super) mod git;
pub(super) mod recovery;
pub(super) mod sealed;
