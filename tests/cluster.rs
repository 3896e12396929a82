//! Tests against a real control plane. One plane serves them all, a namespace keeps each to itself: `make test` starts the plane,
//! and `make cluster` leaves one running for `cargo test --test cluster`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

#[path = "cluster/application.rs"]
mod application;
#[path = "cluster/applicationset.rs"]
mod applicationset;
#[path = "cluster/cli.rs"]
mod cli;
#[path = "cluster/control_plane.rs"]
mod control_plane;
#[path = "cluster/controller.rs"]
mod controller;
#[path = "cluster/crds.rs"]
mod crds;
#[path = "cluster/customisation.rs"]
mod customisation;
#[path = "cluster/deploy.rs"]
mod deploy;
#[path = "cluster/diff.rs"]
mod diff;
#[path = "cluster/drift.rs"]
mod drift;
#[path = "cluster/git_server.rs"]
mod git_server;
#[path = "cluster/guides.rs"]
mod guides;
#[path = "cluster/helm.rs"]
mod helm;
#[path = "cluster/holds.rs"]
mod holds;
#[path = "cluster/hooks.rs"]
mod hooks;
#[path = "cluster/install.rs"]
mod install;
#[path = "cluster/install_cli.rs"]
mod install_cli;
#[path = "cluster/keys.rs"]
mod keys;
#[path = "cluster/keys_cli.rs"]
mod keys_cli;
#[path = "cluster/kubeseal.rs"]
mod kubeseal;
#[path = "cluster/repositories.rs"]
mod repositories;
#[path = "cluster/runbooks.rs"]
mod runbooks;
#[path = "cluster/sealing.rs"]
mod sealing;
#[path = "cluster/sealing_changes.rs"]
mod sealing_changes;
#[path = "cluster/sealing_cli.rs"]
mod sealing_cli;
#[path = "cluster/supervision.rs"]
mod supervision;
#[path = "cluster/tenant.rs"]
mod tenant;
#[path = "cluster/webhooks.rs"]
mod webhooks;
#[path = "cluster/windows.rs"]
mod windows;
