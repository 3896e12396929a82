//! Everything that talks to a destination cluster: discovery, watch cache, server-side apply and dry-run.

mod apply;
mod cache;
mod compare;
mod discovery;
mod error;
mod lens;
mod live;
mod ownership;
pub mod undeclared;

pub use apply::{Propagation, Writer};
pub use cache::{KindFailure, LiveCache};
pub use compare::{Difference, Memo, Verdicts, compare};
pub use discovery::{Capabilities, Discovery, KindInfo};
pub use error::ClusterError;
pub use lens::Lens;
pub use live::LiveObject;
