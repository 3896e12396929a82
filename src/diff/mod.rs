//! Compares target state with live state. Pure.
//!
//! Comparison is local first: the target's fields against the live ones, and the fields that our manager owns against the
//! target. What that cannot decide (defaults, another spelling of a quantity, lists whose merge key is unknown) is
//! [`Verdict::Undecided`]; the caller then asks the API server once for a server-side dry-run and compares its answer with
//! [`predicted_differs`]. So steady state needs no request, and no schema is needed here.

mod fields;
mod ignore;
pub mod jq;
mod local;
pub mod mask;
mod normalise;
mod overlay;
mod owner;
pub mod path;
mod quantity;
mod redact;
pub mod report;
mod respect;
mod rules;
#[cfg(test)]
mod tests;

pub use fields::owned_fields;
pub use ignore::IgnoreRule;
pub use local::{Verdict, compare_locally};
pub use normalise::{normalise_live, normalise_target, predicted_differs};
pub use overlay::overlay;
pub use owner::{Owner, owner};
pub use redact::redact;
pub use report::{Change, FieldChange, ObjectDiff, object_diff};
pub use respect::with_ignored_of;
pub use rules::Rules;
