//! What the API server's refusals mean to the user.

use std::error::Error;

use kube::core::Status;

use super::{Context, Failure};
use crate::advice::Advice;
use crate::cluster::ClusterError;

impl Context {
    /// Explains a failed request; `doing` completes "cannot ...", for example `list applications in "argocd"`.
    #[must_use]
    pub fn explain(&self, error: &kube::Error, doing: &str) -> Failure {
        match error {
            kube::Error::Api(status) => refused(status, doing),
            other => self.unreachable(other),
        }
    }

    /// As [`Context::explain`], for a request that the cluster module made in the user's name.
    #[must_use]
    pub fn explain_cluster(&self, error: &ClusterError, doing: &str) -> Failure {
        let (what, hint) = match error {
            ClusterError::Forbidden { message } => (format!("cannot {doing}"), Some(ask_for_right(message))),
            ClusterError::Unavailable { .. } => {
                (format!("cannot reach {}", self.describe_server()), Some("kubectl cluster-info".to_owned()))
            }
            other => (format!("cannot {doing}"), other.hint()),
        };
        Failure { hint, ..Failure::new(what).with_cause(error) }
    }

    fn unreachable(&self, error: &kube::Error) -> Failure {
        let server = self.describe_server();
        let reasons = chain(error);
        if reasons.iter().any(|reason| reason.contains("CaUsedAsEndEntity")) {
            return Failure::new(format!("{server} presents a certificate authority as its own certificate"))
                .with_hint("give the API server a certificate that the authority signed, or pass --insecure-skip-tls-verify");
        }
        let mut failure = Failure::new(format!("cannot reach {server}"));
        failure.causes = reasons.last().cloned().into_iter().collect();
        failure.with_hint("kubectl cluster-info")
    }
}

fn refused(status: &Status, doing: &str) -> Failure {
    let mut failure = Failure::new(format!("cannot {doing}"));
    failure.causes = vec![status.message.clone()];
    match (status.code, status.reason.as_str()) {
        (401, _) => failure.with_hint("the credentials were refused; log in again, or check them with: kubectl auth whoami"),
        (403, _) => failure.with_hint(ask_for_right(&status.message)),
        (404, _)
            if status.message.contains("could not find the requested resource") || status.message.contains("page not found") =>
        {
            failure.with_hint("the custom resources are not installed in this cluster: kubectl gitops install")
        }
        // The words of the sealing controller, ours and Sealed Secrets' alike.
        (429, _) if status.message.trim() == "limit exceeded" => {
            failure.with_hint("the controller limits how often one client may ask; try again later")
        }
        (429, _) => failure.with_hint("the API server is busy; try again later"),
        _ => failure,
    }
}

/// What to do about a missing right, from the API server's words.
pub(super) fn ask_for_right(message: &str) -> String {
    let right = missing_right(message).unwrap_or_else(|| "--list -n NAMESPACE".to_owned());
    format!("ask for this right; check it with: kubectl auth can-i {right}")
}

/// The arguments of `kubectl auth can-i` for what a refusal says is missing:
/// `User "bob" cannot list resource "applications" in API group "argoproj.io" in the namespace "argocd"`.
fn missing_right(message: &str) -> Option<String> {
    let quoted_after = |words: &str| message.split_once(words)?.1.split('"').next().filter(|text| !text.is_empty());
    let verb = message.split_once(" cannot ")?.1.split(' ').next()?;
    let resource = quoted_after("resource \"")?;
    let group = quoted_after("API group \"").map(|group| format!(".{group}")).unwrap_or_default();
    let place = quoted_after("namespace \"").map_or_else(|| "-A".to_owned(), |namespace| format!("-n {namespace}"));
    Some(format!("{verb} {resource}{group} {place}"))
}

/// All causes below an error, each as its own text.
fn chain(error: &dyn Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::{Status, missing_right, refused};

    #[test]
    fn a_busy_controller_is_not_a_busy_api_server() {
        let hint = |message: &str| refused(&Status::failure(message, "").with_code(429), "verify a SealedSecret").hint;
        assert!(hint("limit exceeded\n").is_some_and(|hint| hint.starts_with("the controller limits")));
        assert!(hint("too many requests").is_some_and(|hint| hint.starts_with("the API server is busy")));
    }

    #[test]
    fn a_refusal_becomes_a_question_to_paste() {
        for (message, right) in [
            (
                r#"apps is forbidden: User "bob" cannot list resource "applications" in API group "argoproj.io" in the namespace "argocd""#,
                Some("list applications.argoproj.io -n argocd"),
            ),
            (
                r#"secrets is forbidden: User "bob" cannot list resource "secrets" in API group "" at the cluster scope"#,
                Some("list secrets -A"),
            ),
            ("admission denied", None),
        ] {
            assert_eq!(missing_right(message).as_deref(), right, "{message}");
        }
    }
}
