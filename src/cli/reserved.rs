//! Words that belong to commands which do not exist yet, so that they say so instead of looking like typing errors.

use super::Failure;

/// Reserved words of the top level, with what they will do or what does it today.
pub const COMMANDS: &[(&str, &str)] = &[
    ("adopt", "carry a change made in the cluster back to Git"),
    ("cluster", "register clusters"),
    ("completion", "shell completion"),
    ("doctor", "check this machine and the cluster"),
    ("drift", "show who changed which field"),
    ("events", "events of an Application and its objects"),
    ("install", "install the controller; until then: kubectl apply -k deploy"),
    ("logs", "logs of an Application's pods; until then: kubectl logs"),
    ("migrate", "take over from Argo CD, Sealed Secrets or Flux"),
    ("render", "print the manifests of an Application"),
    ("restore", "rebuild a cluster from Git and a key backup"),
    ("rollback", "go back to an earlier sync"),
    ("tree", "show the objects of an Application as a tree; until then: kubectl gitops app get NAME"),
    ("ui", "a local web page"),
    ("uninstall", "remove the controller; until then: kubectl delete -k deploy"),
];

/// Commands of other tools that need no counterpart here.
const NOT_NEEDED: &[&str] = &["login", "logout", "account", "relogin"];

/// What to say about a word that is not a command, if it is a known one.
#[must_use]
pub fn explain(word: &str) -> Option<Failure> {
    if NOT_NEEDED.contains(&word) {
        let hint = "your kubeconfig is the login: kubectl auth whoami";
        return Some(Failure::new(format!("`{word}` is not needed")).with_hint(hint));
    }
    let (_, purpose) = COMMANDS.iter().find(|(name, _)| *name == word)?;
    Some(Failure::new(format!("`kubectl gitops {word}` is not there yet")).with_hint(format!("planned: {purpose}")))
}

/// Every word that [`explain`] knows.
pub fn words() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|(name, _)| *name).chain(NOT_NEEDED.iter().copied())
}
