//! The main tasks on real parts: a local control plane, the shipped rights, a Git repository, one application with a secret in it.
//!
//! Every step is checked; the first that does not hold ends the demo with exit code 1. With `DEMO_ONCE=1` it ends by itself after the
//! last step, otherwise everything keeps running until Ctrl-C.

#[path = "demo/files.rs"]
mod files;
#[path = "demo/narrator.rs"]
mod narrator;
#[path = "demo/story.rs"]
mod story;
#[path = "../support/mod.rs"]
mod support;
#[path = "demo/world.rs"]
mod world;

use std::process::ExitCode;

use kubectl_gitops::ui::stream;

use narrator::Narrator;

fn main() -> ExitCode {
    if std::env::args_os().len() > 1 {
        stream::say("error: the demo takes no arguments");
        return ExitCode::from(2);
    }
    // A panic of the test support is caught by the narrator, which prints it with the step it belongs to.
    std::panic::set_hook(Box::new(|_| {}));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
    let code = runtime.block_on(perform());
    stream::say("demo: stopping everything");
    code
}

async fn perform() -> ExitCode {
    let mut narrator = Narrator::new();
    let told = tokio::select! {
        told = story::tell(&mut narrator) => told,
        () = interrupted() => return ExitCode::from(130),
    };
    match told {
        Ok(world) => {
            narrator.summary();
            if std::env::var_os("DEMO_ONCE").is_none_or(|value| value.is_empty() || value == "0") {
                world.invite();
                interrupted().await;
            }
            ExitCode::SUCCESS
        }
        Err(failed) => {
            narrator.failure(&failed);
            ExitCode::from(1)
        }
    }
}

async fn interrupted() {
    let mut terminate =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("signal handlers can be installed");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
