//! What can go wrong when talking to an API server, named for what it means to the user.

use std::time::Duration;

use crate::advice::{Advice, Remedy};

/// Label of the ClusterRoles that make up what the controller may deploy; as in `deploy/rbac-deploy.yaml`.
const AGGREGATED: &str = "gitops.kubectl-gitops.io/aggregate-to-deploy";

/// A failed request to a destination cluster.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClusterError {
    /// RBAC says no. The text is the API server's and names verb, resource and namespace.
    #[error("{message}")]
    Forbidden {
        /// The API server's words.
        message: String,
    },
    /// The API server understood the object and refuses it.
    #[error("{message}")]
    Refused {
        /// The API server's words.
        message: String,
        /// HTTP status.
        code: u16,
    },
    /// The object, its namespace or its kind is not there.
    #[error("{message}")]
    NotFound {
        /// The API server's words.
        message: String,
    },
    /// Somebody else changed the object meanwhile.
    #[error("{message}")]
    Conflict {
        /// The API server's words.
        message: String,
    },
    /// The API server cannot be reached or is too busy.
    #[error("the API server did not answer: {message}")]
    Unavailable {
        /// What the client noticed.
        message: String,
    },
    /// No kind of that name is served.
    #[error("the server could not find the requested resource: kind {kind} is not installed in the destination cluster")]
    UnknownKind {
        /// `group/Kind`.
        kind: String,
    },
}

impl ClusterError {
    /// Sorts a client error by what it means.
    #[must_use]
    pub fn from_kube(error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::Unavailable { message: client_error_text(error) };
        };
        let message = status.message.clone();
        match status.code {
            // Answered with 403 although no right is missing.
            403 if message.contains("because it is being terminated") => Self::Conflict { message },
            401 | 403 if status.reason != "AlreadyExists" => Self::Forbidden { message },
            404 => Self::NotFound { message },
            409 => Self::Conflict { message },
            429 | 500 | 502 | 503 | 504 if !is_schema_refusal(&message) => Self::Unavailable { message },
            code => Self::Refused { message, code },
        }
    }

    /// True for "it is not there".
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// Server-side apply answers 500 for a field that the schema does not declare.
fn is_schema_refusal(message: &str) -> bool {
    message.contains("failed to create typed patch object") || message.contains("field not declared in schema")
}

/// The client's own errors carry their cause twice in Debug form; the chain says it once.
fn client_error_text(error: &kube::Error) -> String {
    let mut text = error.to_string();
    for cause in crate::advice::causes(error) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

impl Advice for ClusterError {
    fn remedy(&self) -> Remedy {
        match self {
            Self::Forbidden { .. } => Remedy::GrantAccess,
            Self::Refused { .. } | Self::NotFound { .. } | Self::UnknownKind { .. } => Remedy::FixInput,
            Self::Conflict { .. } => Remedy::WaitAndRetry { after: Duration::from_secs(1) },
            Self::Unavailable { .. } => Remedy::WaitAndRetry { after: Duration::from_secs(5) },
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Forbidden { .. } => Some(format!(
                "grant the controller's ServiceAccount this right: add a ClusterRole with the label {AGGREGATED}: \"true\""
            )),
            Self::UnknownKind { .. } => Some("install its CustomResourceDefinition, or add it to this application".into()),
            Self::NotFound { message } if message.starts_with("namespaces ") => {
                Some("create the namespace, or set the sync option CreateNamespace=true".into())
            }
            Self::Refused { message, .. } if message.contains("is immutable") => {
                Some("delete the object, or change the field back".into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AGGREGATED;

    #[test]
    fn the_hint_names_the_label_that_is_shipped() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/rbac-deploy.yaml");
        let shipped = std::fs::read_to_string(path).unwrap_or_default();
        assert!(shipped.contains(&format!("{AGGREGATED}: \"true\"")), "{AGGREGATED} is not in {path}");
    }
}
