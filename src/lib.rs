//! kubectl-gitops: GitOps for Kubernetes as one kubectl plugin and one small controller.
//!
//! Modules in layering order, lowest first; a module may use only modules above it in this list (`tests/layering.rs`
//! holds the same list and fails on an upward `use`).

pub mod advice;
pub mod resource;
pub mod template;
pub mod world;

pub mod api;

pub mod customisation;

pub mod health;

pub mod diff;
pub mod sealing;

pub mod project;

pub mod cluster;
pub mod source;

pub mod render;

pub mod keys;

pub mod sync;

pub mod appset;

pub mod controller;

pub mod ui;

pub mod cli;

#[cfg(test)]
mod testing;
