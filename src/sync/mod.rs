//! One sync: `tasks` and `plan` decide the next wave (pure), `execute` does it.
//!
//! ```text
//!  targets ──┐
//!            ├─> Comparison ──tasks──> [Task] ──plan──> Run one step | Record | Clean | Wait | Finish
//!  live ─────┘                           ^                  │
//!                     results so far ────┴──── execute <────┘
//! ```
//!
//! Results so far live in `status.operationState.syncResult`, so a restart continues by planning again.

pub mod automation;
pub mod budget;
pub mod comparison;
pub mod confirmation;
pub mod deletion;
pub mod execute;
pub mod hold;
pub mod hooks;
pub mod load;
pub mod plan;
pub mod policy;
pub mod results;
pub mod retry;
pub mod targets;
pub mod tasks;
#[cfg(test)]
mod testing;

pub use comparison::{Comparison, Item};
pub use plan::Plan;
pub use policy::Policy;
pub use targets::Targets;
pub use tasks::Task;
