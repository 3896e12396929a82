//! Compares target state with live state. Pure.

pub mod mask;
pub mod report;

pub use report::{Change, FieldChange, ObjectDiff, object_diff};
