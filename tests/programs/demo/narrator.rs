//! Prints each step with the time it took and what was seen; turns whatever goes wrong into a failed step.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt;
use kubectl_gitops::ui::stream;

/// A step that did not hold.
#[derive(Debug)]
pub struct Failed {
    step: &'static str,
    why: String,
}

/// A main task that held.
#[derive(Debug)]
struct Task {
    name: &'static str,
    took: Duration,
    seen: String,
}

/// The one who tells the story.
#[derive(Debug)]
pub struct Narrator {
    begun: Instant,
    steps: usize,
    tasks: Vec<Task>,
}

impl Narrator {
    /// Starts the clock.
    pub fn new() -> Self {
        Self { begun: Instant::now(), steps: 0, tasks: Vec::new() }
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
        self.timed(step, doing).await.map(|(value, _, _)| value)
    }

    /// As [`step`](Self::step), for one of the main tasks: the summary names it.
    ///
    /// # Errors
    /// As `step`.
    pub async fn task(
        &mut self,
        name: &'static str,
        step: &'static str,
        doing: impl Future<Output = Result<((), String), String>>,
    ) -> Result<(), Failed> {
        let ((), took, seen) = self.timed(step, doing).await?;
        self.tasks.push(Task { name, took, seen });
        Ok(())
    }

    async fn timed<T>(
        &mut self,
        step: &'static str,
        doing: impl Future<Output = Result<(T, String), String>>,
    ) -> Result<(T, Duration, String), Failed> {
        let begun = Instant::now();
        let done = AssertUnwindSafe(doing).catch_unwind().await.unwrap_or_else(|panic| Err(message(&*panic)));
        let (value, seen) = done.map_err(|why| Failed { step, why })?;
        let took = begun.elapsed();
        self.steps += 1;
        stream::out(&format!("✔ {:>2}  {step:<46} {:>6.1} s  {seen}\n", self.steps, took.as_secs_f32()));
        Ok((value, took, seen))
    }

    /// Says that everything held, and what that was.
    pub fn summary(&self) {
        stream::out(&format!("\ndemo: all {} steps held, {:.0} s\n", self.steps, self.begun.elapsed().as_secs_f32()));
        for Task { name, took, seen } in &self.tasks {
            stream::out(&format!("  {name:<15} {:>5.1} s  {seen}\n", took.as_secs_f32()));
        }
        stream::out("  Changes in Git include up to 2 s until the next poll; a forge is polled every 2 minutes by default.\n");
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
