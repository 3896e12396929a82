//! Prints each step with the time it took and what was seen; turns whatever goes wrong into a failed step.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures::FutureExt;
use kubectl_gitops::ui::stream;

/// A step that did not hold.
#[derive(Debug)]
pub struct Failed {
    step: &'static str,
    why: String,
}

/// The one who tells the story.
#[derive(Debug)]
pub struct Narrator {
    begun: Instant,
    steps: usize,
}

impl Narrator {
    /// Starts the clock.
    pub fn new() -> Self {
        Self { begun: Instant::now(), steps: 0 }
    }

    /// Does one step. It gives back a value for later steps and one line about what was seen.
    ///
    /// # Errors
    /// When the step fails or panics.
    pub async fn step<T>(
        &mut self,
        step: &'static str,
        doing: impl Future<Output = Result<(T, String), String>>,
    ) -> Result<T, Failed> {
        let begun = Instant::now();
        let done = AssertUnwindSafe(doing).catch_unwind().await.unwrap_or_else(|panic| Err(message(&*panic)));
        let (value, seen) = done.map_err(|why| Failed { step, why })?;
        self.steps += 1;
        stream::out(&format!("✔ {:>2}  {step:<46} {:>6.1} s  {seen}\n", self.steps, begun.elapsed().as_secs_f32()));
        Ok(value)
    }

    /// Says that everything held.
    pub fn summary(&self) {
        stream::out(&format!("demo: all {} steps held, {:.0} s\n", self.steps, self.begun.elapsed().as_secs_f32()));
    }

    /// Says what did not.
    pub fn failure(&self, failed: &Failed) {
        stream::out(&format!("✗ {:>2}  {}\n", self.steps + 1, failed.step));
        stream::say(&format!("error: {}", failed.why));
    }
}

/// Shows a command that the reader could have typed.
pub fn show(command: &str) {
    stream::out(&format!("       $ {command}\n"));
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_else(|| "it panicked".to_owned())
}
