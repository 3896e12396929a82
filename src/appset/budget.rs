//! The deletion budget: a result that would delete many Applications at once waits for a person.
//!
//! Generators answer what somebody else's system says; a selector with a typing error, an emptied folder or an API that
//! forgets half of its answer are all "successful". Upstream deletes at once.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::status::{HELD, condition};
use crate::api::ApplicationSet;
use crate::resource::annotations::DELETION_APPROVED;

/// Annotation of an ApplicationSet with a budget of its own.
pub const ANNOTATION: &str = "kubectl-gitops.io/deletion-budget";
/// Names in the message.
const SHOWN: usize = 5;

/// How many Applications of one ApplicationSet may go in one pass without an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// Any number.
    Unlimited,
    /// So many.
    Count(usize),
    /// So many of a hundred that there are.
    Percent(usize),
    /// Both must be exceeded before it holds: small sets may go whole.
    Both(usize, usize),
}

impl Default for Budget {
    /// Ten, or half of them if that is more: what is deleted by hand in daily work passes.
    fn default() -> Self {
        Self::Both(10, 50)
    }
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || format!("{text:?} is no deletion budget: write a number, a percentage such as 20%, or unlimited");
        match text.trim() {
            "unlimited" => Ok(Self::Unlimited),
            text => match text.strip_suffix('%') {
                Some(percent) => percent.parse().map(Self::Percent).map_err(|_| problem()),
                None => text.parse().map(Self::Count).map_err(|_| problem()),
            },
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Both(count, percent) => write!(f, "{count}, or {percent}% if that is more"),
        }
    }
}

/// Deletions that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Names of the Applications.
    pub names: Vec<String>,
    /// What is held, why, and how to approve it.
    pub message: String,
}

impl Budget {
    fn permits(self, doomed: usize, owned: usize) -> bool {
        match self {
            Self::Unlimited => true,
            Self::Count(count) => doomed <= count,
            Self::Percent(percent) => doomed * 100 <= owned * percent,
            Self::Both(count, percent) => doomed <= count || doomed * 100 <= owned * percent,
        }
    }

    /// What has to wait; none when the budget or an approval permits it.
    ///
    /// # Errors
    /// The annotation with the ApplicationSet's own budget cannot be read.
    pub fn check(self, set: &ApplicationSet, doomed: &[&Json], owned: usize, now: Timestamp) -> Result<Option<Held>, String> {
        let own = set
            .annotation(ANNOTATION)
            .map(str::parse::<Self>)
            .transpose()
            .map_err(|error| format!("annotation {ANNOTATION}: {error}"))?;
        let budget = own.unwrap_or(self);
        if budget.permits(doomed.len(), owned) || is_approved(set, now) {
            return Ok(None);
        }
        let names: Vec<String> =
            doomed.iter().filter_map(|app| app.pointer("/metadata/name")?.as_str()).map(str::to_owned).collect();
        let more = names.len().saturating_sub(SHOWN);
        let mut listed = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        if more > 0 {
            listed.push_str(&format!(" and {more} more"));
        }
        let message = format!(
            "{} of {owned} applications are not generated any more and would be deleted: {listed}. That is over the deletion budget ({budget}), so they stay (hint: set the annotation {DELETION_APPROVED} of the ApplicationSet to the current time to approve, or {ANNOTATION} to another budget)",
            names.len(),
        );
        Ok(Some(Held { names, message }))
    }
}

/// An approval counts for what was held before it was given, and times that are still to come approve nothing.
fn is_approved(set: &ApplicationSet, now: Timestamp) -> bool {
    let approved = set.annotation(DELETION_APPROVED).and_then(|text| text.trim().parse::<Timestamp>().ok());
    let status = set.status.as_ref();
    let since = status.and_then(|status| condition(status, HELD)).filter(|held| held["status"] == "True");
    let since = since.and_then(|held| held["lastTransitionTime"].as_str()?.parse::<Timestamp>().ok());
    // Clocks differ: five minutes ahead are no lie.
    let latest = now + jiff::SignedDuration::from_mins(5);
    matches!((approved, since), (Some(approved), Some(since)) if approved >= since && approved <= latest)
}
