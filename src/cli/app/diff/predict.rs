//! What a sync would make of one live object.

use crate::advice::Advice;
use crate::cli::access::ask_for_right;
use crate::cli::{Context, Failure};
use crate::cluster::{self, ClusterError, Difference, KindInfo, LiveObject, Writer, undeclared};
use crate::diff::{Rules, mask, normalise_target, overlay};
use crate::resource::{Object, ResourceKey};
use crate::ui::{problem, stream};

/// What a sync would make of one live object.
#[derive(Debug, Clone)]
pub(super) enum Prediction {
    /// Nothing else than it is.
    Same,
    /// This, as the API server says.
    Certain(Object),
    /// This, as far as the manifest says, because the API server refuses it or may not be asked.
    Guess(Object, ClusterError),
}

impl Prediction {
    pub fn object(&self) -> Option<&Object> {
        match self {
            Self::Same => None,
            Self::Certain(object) | Self::Guess(object, _) => Some(object),
        }
    }
}

/// Compares as the controller does, with the user's rights; also gives the rules with what had to be looked up for them.
pub(super) async fn predict(
    writer: &Writer,
    kind: &KindInfo,
    target: &Object,
    live: &LiveObject,
    rules: Rules,
) -> Result<(Prediction, Rules), ClusterError> {
    match cluster::compare(writer, kind, target, live, &rules, None).await {
        Ok(Difference { memo, rules, .. }) if !memo.differs => Ok((Prediction::Same, rules)),
        Ok(Difference { predicted: Some(object), rules, .. }) => Ok((Prediction::Certain(object), rules)),
        // It differs, which could be told without the API server, or because it refuses; only its answer says which.
        Ok(Difference { rules, .. }) => match writer.dry_run(kind, &normalise_target(target)).await {
            Ok(object) => Ok((Prediction::Certain(object), rules)),
            Err(error) => Ok((guess(target, live, error)?, rules)),
        },
        Err(error) => Ok((guess(target, live, error)?, rules)),
    }
}

fn guess(target: &Object, live: &LiveObject, error: ClusterError) -> Result<Prediction, ClusterError> {
    match error {
        ClusterError::Conflict { .. } | ClusterError::Unavailable { .. } => Err(error),
        refused => Ok(Prediction::Guess(overlay(&live.object(), &normalise_target(target)), refused)),
    }
}

/// Tells on stderr what was guessed, and why.
pub(super) fn tell_guesses<'a>(predictions: impl Iterator<Item = (&'a ResourceKey, &'a Prediction)>) {
    let mut forbidden = Vec::new();
    for (key, prediction) in predictions {
        match prediction {
            Prediction::Guess(_, ClusterError::Forbidden { message }) => forbidden.push(message),
            Prediction::Guess(object, error) => {
                let (what, hint) = refusal(key, object, error);
                stream::say(&problem::note(&what, hint.as_deref()));
            }
            Prediction::Same | Prediction::Certain(_) => {}
        }
    }
    if let Some(first) = forbidden.first() {
        let (number, their) = if forbidden.len() == 1 { ("one object", "its") } else { ("several objects", "their") };
        let what = format!(
            "the API server does not tell you what a sync would do to {number}, so only the fields in {their} manifest are \
             compared, as they are written: {first}"
        );
        stream::say(&problem::note(&what, Some(&ask_for_right(first))));
    }
}

/// A refusal may quote the value it refuses, and that of a Secret must not be shown.
fn refusal(key: &ResourceKey, object: &Object, error: &ClusterError) -> (String, Option<String>) {
    let undeclared = undeclared::fields(&error.to_string());
    if !undeclared.is_empty() {
        let what = format!("{key}: the kind has no field {}; a sync would leave it out", undeclared.join(", "));
        return (what, Some("correct the name; with the sync option ServerSideApply=true a sync fails instead".into()));
    }
    let what = format!("a sync would fail: the API server refuses {key}, which is shown as its manifest says");
    if mask::is_secret(object) { (what, None) } else { (format!("{what}: {error}"), error.hint()) }
}

/// A failed request that leaves the question open.
pub(super) fn unanswered(cx: &Context, key: &ResourceKey, error: &ClusterError) -> Failure {
    cx.explain_cluster(error, &format!("compare {key}"))
}
