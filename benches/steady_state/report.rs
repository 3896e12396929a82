//! What was measured, and what must be zero.

use std::time::Duration;

use crate::figures::Figures;
use crate::fleet::{APPLICATIONS, OBJECTS};
use crate::meter::{Memory, Usage};

/// All figures, in the order they were taken.
#[derive(Debug, Default)]
pub struct Report {
    figures: Figures,
    failures: Vec<String>,
}

impl Report {
    /// Adds one figure.
    pub fn add(&mut self, metric: &str, value: f64, unit: &'static str) {
        self.figures.add(metric, value, unit);
    }

    /// Adds the memory at some moment.
    pub fn memory(&mut self, when: &str, memory: Memory) {
        self.add(&format!("{when}.resident_memory"), memory.resident as f64 / 1024.0, "MiB");
        self.add(&format!("{when}.resident_memory.anonymous"), memory.anonymous as f64 / 1024.0, "MiB");
    }

    /// Adds what it took to bring all Applications to life.
    pub fn cold(&mut self, usage: &Usage) {
        self.usage("cold", usage);
        self.add("cold.requests_per_object", usage.requests.asked() as f64 / (APPLICATIONS * OBJECTS) as f64, "requests");
    }

    /// Adds what it took to keep them, which must be nothing.
    pub fn steady(&mut self, usage: &Usage, window: Duration) {
        self.add("steady.window", window.as_secs_f64(), "s");
        self.usage("steady", usage);
        self.add("steady.writes", usage.requests.writes() as f64, "requests");
        self.add("steady.cpu_share", usage.cpu_seconds / window.as_secs_f64() * 100.0, "% of a core");
        if usage.requests.asked() > 0 {
            self.failures.push(format!("nothing changed, and the controller asked the API server: {}", usage.requests));
        }
    }

    fn usage(&mut self, when: &str, usage: &Usage) {
        for (verb, count) in usage.requests.by_verb() {
            self.add(&format!("{when}.requests.{verb}"), count as f64, "requests");
        }
        for (verb, object, count) in usage.requests.by_object() {
            self.add(&format!("{when}.requests.{verb}.{object}"), count as f64, "requests");
        }
        self.add(&format!("{when}.requests_beside_watches"), usage.requests.asked() as f64, "requests");
        self.add(&format!("{when}.git.ls_refs"), usage.ls_refs as f64, "requests");
        self.add(&format!("{when}.git.fetches"), usage.fetches as f64, "requests");
        self.add(&format!("{when}.cpu"), usage.cpu_seconds, "s");
    }

    /// What must not be, in whole sentences.
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// The table.
    pub fn table(&self) -> String {
        self.figures.table(&format!("steady_state: {APPLICATIONS} Applications with {OBJECTS} objects each, one Git repository"))
    }

    /// One JSON object per line and figure.
    pub fn lines(&self) -> String {
        self.figures.lines("steady_state")
    }
}
