//! What people see: streams, tables, colours, errors with their hints.

pub mod age;
pub mod confirm;
pub mod diff_markdown;
pub mod diff_view;
pub mod live;
pub mod nearest;
pub mod paint;
pub mod problem;
pub mod stream;
pub mod symbols;
pub mod sync_view;
pub mod table;
pub mod text;
pub mod yaml;
