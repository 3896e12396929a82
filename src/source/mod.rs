//! Fetches sources: one mirror and one poll per Git repository, however many applications use it.
//!
//! ```text
//!  resolve(url, "main") ──> Repository ──ls-refs, at most once per poll──> remote
//!  tree(url, commit)    ──>     │       ──fetch, only when missing──────>
//!                               v
//!                            Mirror (bare, shallow, on disk; may be lost at any time)
//!                               v
//!                            SourceTree (reads objects; writes files only for programs that need them)
//! ```
//!
//! Nothing of the machine's Git configuration is used: no system or user files, no credential helpers, no prompts.

mod address;
mod any;
mod archive;
pub mod charts;
mod classify;
mod client;
pub mod credentials;
mod error;
mod failure;
mod github_app;
mod mirror;
mod poll;
mod reach;
mod refs;
mod repositories;
mod repository;
mod state;
mod submodules;
mod tree;
pub mod version;
mod worktree;

#[cfg(test)]
mod https_tests;
#[cfg(test)]
mod outage_tests;
#[cfg(test)]
mod registered_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use address::Address;
pub use any::is_elsewhere;
use archive::Layout;
pub(crate) use archive::texts as texts_of_archive;
pub use charts::{Charts, Origin};
pub use error::SourceError;
pub use refs::Commit;
pub use repositories::{Options, Repositories, Scoped};
pub use repository::Freshness;
pub(crate) use tree::clean_path;
pub use tree::{Entry, EntryKind, Followed, SourceTree};
pub use worktree::{Worktree, WorktreeError, copy_index};

/// True when two URLs name the same repository: case and `.git` do not matter.
#[must_use]
pub fn same_repository(a: &str, b: &str) -> bool {
    let comparable = |url: &str| Address::parse(url).map_or_else(|_| url.to_owned(), |address| address.normalised());
    a == b || comparable(a) == comparable(b)
}
