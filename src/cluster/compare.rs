//! Compares a target with its live object, asking the API server only when the local comparison cannot tell, and only once
//! for the same pair.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{ClusterError, KindInfo, LiveObject, Writer};
use crate::diff::{Rules, Verdict, compare_locally, normalise_target, predicted_differs};
use crate::resource::{Object, ResourceKey};

/// What was found for one pair of target and live state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memo {
    target: u64,
    live: u64,
    /// Whether applying the target would change something.
    pub differs: bool,
}

/// Remembered results of one Application, by object. Replaced as a whole with each comparison, so it never grows.
pub type Verdicts = HashMap<ResourceKey, Memo>;

/// What applying a target would do.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The result, to be remembered.
    pub memo: Memo,
    /// The API server's answer, when it was asked.
    pub predicted: Option<Object>,
    /// The rules with what field managers own, when that had to be looked up.
    pub rules: Rules,
}

/// Compares one target with its live object; `remembered` answers without any work when neither has changed.
///
/// # Errors
/// When the API server cannot be asked. A refusal is no error: a target that cannot be applied does differ.
pub async fn compare(
    writer: &Writer,
    kind: &KindInfo,
    target: &Object,
    live: &LiveObject,
    rules: &Rules,
    remembered: Option<Memo>,
) -> Result<Difference, ClusterError> {
    let hash = hash_of(target, rules);
    if let Some(memo) = remembered.filter(|memo| memo.target == hash && memo.live == live.digest) {
        return Ok(Difference { memo, predicted: None, rules: rules.clone() });
    }
    let live_object = live.object();
    let mut rules = rules.clone();
    let mut verdict = compare_locally(target, &live_object, &rules);
    if verdict != Verdict::Same && rules.asks_for_owners() {
        if let Some(whole) = writer.get_in_version(kind, &live.key, live_object.version()).await? {
            rules = rules.with_owners(&whole);
        }
        verdict = compare_locally(target, &live_object, &rules);
    }
    let (differs, predicted) = match verdict {
        Verdict::Same => (false, None),
        Verdict::Differs => (true, None),
        Verdict::Undecided => ask(writer, kind, target, &live_object, &rules).await?,
    };
    Ok(Difference { memo: Memo { target: hash, live: live.digest, differs }, predicted, rules })
}

async fn ask(
    writer: &Writer,
    kind: &KindInfo,
    target: &Object,
    live: &Object,
    rules: &Rules,
) -> Result<(bool, Option<Object>), ClusterError> {
    match writer.dry_run(kind, &normalise_target(target)).await {
        Ok(predicted) => {
            let same_version = predicted.api_version() == live.api_version();
            let differs =
                if same_version { predicted_differs(live, &predicted, rules) } else { generation_moves(live, &predicted) };
            Ok((differs, Some(predicted)))
        }
        Err(ClusterError::Refused { .. } | ClusterError::NotFound { .. } | ClusterError::UnknownKind { .. }) => Ok((true, None)),
        Err(error) => Err(error),
    }
}

/// The cache holds the preferred version, the manifest names another: their fields are not comparable, but the API server
/// moves the generation when the specification changes.
fn generation_moves(live: &Object, predicted: &Object) -> bool {
    live.generation() != predicted.generation()
}

fn hash_of(target: &Object, rules: &Rules) -> u64 {
    let mut hasher = DefaultHasher::new();
    target.0.hash(&mut hasher);
    rules.hash(&mut hasher);
    hasher.finish()
}
