//! Compares target state with live state. Pure.
