//! Git repositories served over loopback HTTP by git's own server program, with every request counted.

mod command;
mod repo;
mod server;

pub use command::{command, git};
pub use repo::GitRepo;
pub use server::{GitRequest, GitServer};
