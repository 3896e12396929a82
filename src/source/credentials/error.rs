//! What is wrong with a Secret about a repository. No text of the Secret but names of its fields is shown.

use crate::advice::{Advice, Remedy};

/// Why a repository cannot be reached with what its Secret says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The Secret does not say which repository it is for.
    #[error("Secret `{secret}` has no `url`")]
    NoUrl {
        /// Name of the Secret.
        secret: String,
    },
    /// A field has a value that cannot be read.
    #[error("field `{field}` of Secret `{secret}` is not {expected}")]
    BadValue {
        /// Name of the Secret.
        secret: String,
        /// The field.
        field: String,
        /// What it has to be.
        expected: &'static str,
    },
    /// A field has no meaning without another one.
    #[error("Secret `{secret}` has `{field}` but no `{missing}`")]
    Incomplete {
        /// Name of the Secret.
        secret: String,
        /// The field that is there.
        field: &'static str,
        /// The field that is not.
        missing: &'static str,
    },
    /// A way to log in that is not built.
    #[error("Secret `{secret}` logs in by `{field}`, which is not supported yet")]
    NotSupported {
        /// Name of the Secret.
        secret: String,
        /// The field.
        field: &'static str,
    },
}

impl Advice for CredentialError {
    fn remedy(&self) -> Remedy {
        Remedy::FixInput
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoUrl { .. } => "add `url` to the Secret, or remove its secret-type label".into(),
            Self::BadValue { field, expected, .. } => format!("set `{field}` to {expected}, or remove it"),
            Self::Incomplete { missing, .. } => format!("add `{missing}` to the Secret"),
            Self::NotSupported { .. } => {
                "use `username` and `password`, `bearerToken`, `sshPrivateKey` or a GitHub App for this repository".into()
            }
        })
    }
}
