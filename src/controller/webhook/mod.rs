//! Git hosts and registries tell of a push, and the poll need not be waited for.
//!
//! ```text
//!  POST /api/webhook ──delivery (who, genuine?)──> payload ──Event──> queue ──> matching ──> Repositories::poll_now
//! ```
//!
//! A delivery never says what is new: the repository is asked, once for all deliveries that are waiting. So a forged one can
//! at most cause a listing, and a lost one costs the wait for the poll.
//!
//! Source: Argo CD 3.5, `/api/webhook` of its API server (fleet reference, section 4).

mod delivery;
mod matching;
mod payload;
mod route;
mod secrets;
mod worker;

#[cfg(test)]
mod tests;

pub use route::{Deliveries, routes};
pub use secrets::{Secrets, keep};
pub use worker::run;

/// What a delivery says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Commits were pushed.
    Push(Push),
    /// A tag of a registry was pushed.
    Image {
        /// Repository with its host, without `oci://`.
        repository: String,
        /// The tag.
        tag: String,
    },
}

/// Commits that were pushed to one reference of one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Push {
    /// Web or clone URLs of the repository; any of them may match.
    pub repositories: Vec<String>,
    /// Branch or tag without `refs/heads/` or `refs/tags/`.
    pub revision: String,
    /// True when it may be the branch that `HEAD` means.
    pub touched_head: bool,
    /// Files that were added, modified or removed; empty when the host does not say.
    pub files: Vec<String>,
}
