//! Go's times: layouts by example (`2006-01-02`), durations (`1h30m`).

mod duration;
mod layout;
mod parse;
mod write;

pub use duration::{duration_text, parse_duration};
pub use parse::{Unparsed, parse};
pub use write::format;
pub(super) use write::{MONTHS, WEEKDAYS};
