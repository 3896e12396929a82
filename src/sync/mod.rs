//! One sync: `tasks` and `plan` decide the next wave (pure), `execute` does it.
//!
//! ```text
//!  targets ──┐
//!            ├─> Comparison ──tasks──> [Task] ──plan──> Run one step | Wait | Finish
//!  live ─────┘                           ^                  │
//!                     results so far ────┴──── execute <────┘
//! ```
//!
//! Results so far live in `status.operationState.syncResult`, so a restart continues by planning again.

pub mod automation;
pub mod comparison;
pub mod confirmation;
pub mod execute;
pub mod hooks;
pub mod plan;
pub mod retry;
pub mod targets;

pub use comparison::{Comparison, Item};
pub use plan::{Plan, Policy, Task};
pub use targets::Targets;
