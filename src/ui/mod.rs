//! What people see: streams, tables, colours, errors with their hints.

pub mod stream;
