//! Holds: an Application that syncs by itself is told not to, by whom, why and until when. Pure.
//!
//! A rollback holds automatic syncs, because Git would undo it at once; it frees itself at the next revision that is another
//! one than that which was rolled back. A pause holds them until its time is over. Both end on command. Syncs that somebody asks
//! for are not held.
//!
//! ```text
//! annotation kubectl-gitops.io/hold: {"kind":"rollback","by":"ann","at":"…","reason":"…","until":"…","revisions":["abc…"]}
//! ```
//!
//! Different from Argo CD, which refuses to roll back while auto-sync is on, and has no record of a pause.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::api::Application;
use crate::resource::annotations::HOLD;

/// Why automatic syncs are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An earlier state was brought back.
    Rollback,
    /// Somebody asked for it.
    Pause,
}

/// A hold, as it is recorded on the Application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why.
    pub kind: Kind,
    /// Who asked for it.
    #[serde(default)]
    pub by: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// What for, in the words of who asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When it ends by itself, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The revisions that were rolled back, by index of the sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<String>,
}

/// What a hold means now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// There is none.
    Free,
    /// It holds: a text for people, and how long at most.
    Holds(String, Option<Duration>),
    /// It is over: why.
    Over(String),
}

impl Hold {
    /// The value of the annotation.
    #[must_use]
    pub fn to_annotation(&self) -> String {
        serde_json::to_string(self).expect("a hold is made of texts and times")
    }

    fn text(&self, name: &str) -> String {
        let mut text = match self.kind {
            Kind::Rollback => format!("auto-sync is held by a rollback from {}", short(&self.revisions)),
            Kind::Pause => "auto-sync is paused".to_owned(),
        };
        if !self.by.is_empty() {
            text.push_str(&format!(" by {}", self.by));
        }
        if let Some(at) = self.at {
            text.push_str(&format!(" since {}", shown(at)));
        }
        if !self.reason.is_empty() {
            text.push_str(&format!(" ({})", self.reason));
        }
        if let Some(until) = self.until {
            text.push_str(&format!(" until {}", shown(until)));
        }
        if self.kind == Kind::Rollback {
            text.push_str(", at the latest until another revision is there");
        }
        format!("{text} (hint: kubectl gitops resume {name})")
    }
}

/// Says whether an Application's automatic syncs are held. `revisions` are the resolved target revisions; those that could not be
/// resolved are empty and end nothing.
///
/// What cannot be read holds: somebody wanted something.
#[must_use]
pub fn standing(app: &Application, revisions: &[String], now: Timestamp) -> Standing {
    let Some(written) = app.annotation(HOLD).filter(|text| !text.trim().is_empty()) else { return Standing::Free };
    let hold: Hold = match serde_json::from_str(written) {
        Ok(hold) => hold,
        Err(error) => {
            let name = app.name();
            let text = format!(
                "auto-sync is held by annotation {HOLD}, which cannot be read: {error} (hint: kubectl gitops resume {name})"
            );
            return Standing::Holds(text, None);
        }
    };
    if hold.until.is_some_and(|until| until <= now) {
        return Standing::Over("its time is over".into());
    }
    if hold.kind == Kind::Rollback {
        let other = revisions.iter().zip(&hold.revisions).find(|(new, bad)| !new.is_empty() && new != bad);
        if let Some((new, _)) = other {
            return Standing::Over(format!("there is another revision, {}", short(std::slice::from_ref(new))));
        }
    }
    let left = hold.until.and_then(|until| Duration::try_from(until.duration_since(now)).ok());
    Standing::Holds(hold.text(app.name()), left)
}

fn shown(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn short(revisions: &[String]) -> String {
    let cut = |revision: &String| revision.get(..7).filter(|_| revision.len() == 40).unwrap_or(revision).to_owned();
    revisions.iter().map(cut).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap_or_default()
    }

    fn held(hold: &Hold) -> Application {
        let mut app = Application::default();
        app.metadata.name = Some("web".into());
        app.metadata.annotations = Some([(HOLD.to_owned(), hold.to_annotation())].into());
        app
    }

    fn rollback() -> Hold {
        Hold {
            kind: Kind::Rollback,
            by: "ann".into(),
            at: Some(at("2026-01-01T10:00:00Z")),
            reason: "500s".into(),
            until: None,
            revisions: vec!["bad".into()],
        }
    }

    #[test]
    fn a_rollback_holds_until_another_revision_is_there() {
        let app = held(&rollback());
        let now = at("2026-01-01T12:00:00Z");
        let text = "auto-sync is held by a rollback from bad by ann since 2026-01-01T10:00:00Z (500s), at the latest until another revision is there (hint: kubectl gitops resume web)";
        assert_eq!(standing(&app, &["bad".into()], now), Standing::Holds(text.into(), None));
        assert_eq!(standing(&app, &["good".into()], now), Standing::Over("there is another revision, good".into()));
        assert!(matches!(standing(&app, &[String::new()], now), Standing::Holds(..)), "an unreachable repository ends nothing");
        assert!(matches!(standing(&app, &[], now), Standing::Holds(..)));
        assert_eq!(standing(&Application::default(), &[], now), Standing::Free);
    }

    #[test]
    fn a_pause_ends_at_its_time_and_not_with_a_revision() {
        let until = Some(at("2026-01-01T13:00:00Z"));
        let app = held(&Hold { kind: Kind::Pause, until, reason: String::new(), ..rollback() });
        let text =
            "auto-sync is paused by ann since 2026-01-01T10:00:00Z until 2026-01-01T13:00:00Z (hint: kubectl gitops resume web)";
        let hour = Some(Duration::from_secs(3600));
        assert_eq!(standing(&app, &["x".into()], at("2026-01-01T12:00:00Z")), Standing::Holds(text.into(), hour));
        assert_eq!(standing(&app, &[], at("2026-01-01T13:00:00Z")), Standing::Over("its time is over".into()));
    }

    #[test]
    fn what_cannot_be_read_holds() {
        let mut app = Application::default();
        app.metadata.annotations = Some([(HOLD.to_owned(), "yes".to_owned())].into());
        assert!(
            matches!(standing(&app, &[], Timestamp::UNIX_EPOCH), Standing::Holds(text, None) if text.contains("cannot be read"))
        );
    }
}
