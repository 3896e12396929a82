//! Words that belong to commands which do not exist yet, so that they say so instead of looking like typing errors.

use super::Failure;

/// Reserved words of the top level, with what they will do or what does it today.
pub const COMMANDS: &[(&str, &str)] = &[
    ("cluster", "register clusters"),
    ("events", "events of an Application and its objects"),
    ("logs", "logs of an Application's pods; until then: kubectl logs"),
    ("migrate", "take over from Argo CD, Sealed Secrets or Flux"),
    ("restore", "rebuild a cluster from Git and a key backup"),
    ("tree", "show the objects of an Application as a tree; until then: kubectl gitops app get NAME"),
    ("ui", "a local web page"),
];

/// Verbs of `argocd app` that do not exist yet, with what does it today.
const APP_COMMANDS: &[(&str, &str)] = &[
    ("add-source", "add a source; until then: kubectl edit applications.argoproj.io NAME"),
    ("confirm-deletion", "confirm a deletion; until then: kubectl annotate"),
    ("edit", "edit an Application; until then: kubectl edit applications.argoproj.io NAME"),
    ("logs", "logs of an Application's pods; until then: kubectl logs"),
    ("manifests", "print the manifests of an Application; until then: kubectl gitops render NAME"),
    ("patch", "patch an Application; until then: kubectl patch applications.argoproj.io NAME"),
    ("remove-source", "remove a source; until then: kubectl edit applications.argoproj.io NAME"),
    ("resources", "list the objects of an Application; until then: kubectl gitops app get NAME"),
    ("terminate-op", "end a running sync"),
    ("unset", "change an Application; until then: kubectl edit applications.argoproj.io NAME"),
];

/// Verbs of `argocd app` that need no counterpart here, with what does it.
const APP_NOT_NEEDED: &[(&str, &str)] = &[
    ("actions", "kubectl does it with your rights, for example: kubectl rollout restart"),
    ("delete-resource", "kubectl delete does it with your rights"),
    ("get-resource", "kubectl get does it with your rights"),
    ("patch-resource", "kubectl patch does it with your rights"),
];

/// Commands of other tools that need no counterpart here, with what does it.
const NOT_NEEDED: &[(&str, &str)] = &[
    ("login", THE_LOGIN),
    ("logout", THE_LOGIN),
    ("account", THE_LOGIN),
    ("relogin", THE_LOGIN),
    ("context", "contexts are those of the kubeconfig: kubectl config use-context NAME, or --context NAME"),
    ("admin", "there is no server to look after: kubectl gitops doctor"),
];

const THE_LOGIN: &str = "your kubeconfig is the login: kubectl auth whoami";

/// What to say about a word that is not a command, if it is a known one.
#[must_use]
pub fn explain(word: &str) -> Option<Failure> {
    explain_in(word, word, COMMANDS, NOT_NEEDED)
}

/// As [`explain`], for a word after `app`.
#[must_use]
pub fn explain_app(word: &str) -> Option<Failure> {
    explain_in(word, &format!("app {word}"), APP_COMMANDS, APP_NOT_NEEDED)
}

fn explain_in(word: &str, full: &str, planned: &[(&str, &str)], not_needed: &[(&str, &str)]) -> Option<Failure> {
    let meaning = |words: &[(&str, &str)]| words.iter().find(|(name, _)| *name == word).map(|(_, text)| (*text).to_owned());
    if let Some(hint) = meaning(not_needed) {
        return Some(Failure::new(format!("`{full}` is not needed")).with_hint(hint));
    }
    let purpose = meaning(planned)?;
    Some(Failure::new(format!("`kubectl gitops {full}` is not there yet")).with_hint(format!("planned: {purpose}")))
}

/// Every word that [`explain`] knows.
pub fn words() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().chain(NOT_NEEDED).map(|(name, _)| *name)
}

/// Every word that [`explain_app`] knows.
pub fn app_words() -> impl Iterator<Item = &'static str> {
    APP_COMMANDS.iter().chain(APP_NOT_NEEDED).map(|(name, _)| *name)
}
