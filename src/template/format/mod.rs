//! Go's `fmt`: how values become text.

mod float;
mod print;
mod printf;
mod quote;

pub use float::{exponential, fixed, general, json};
pub use print::{print, print_all, printed};
pub use printf::printf;
pub use quote::quoted;
