//! The figures: a table for people, JSON lines for programs, and those that must be zero.

use std::time::Duration;

use serde_json::{Number, Value, json};

use crate::fleet::{APPLICATIONS, OBJECTS};
use crate::meter::{Memory, Usage};

/// All figures, in the order they were taken.
#[derive(Debug, Default)]
pub struct Report {
    figures: Vec<Figure>,
    failures: Vec<String>,
}

#[derive(Debug)]
struct Figure {
    metric: String,
    value: f64,
    unit: &'static str,
}

impl Report {
    /// Adds one figure.
    pub fn add(&mut self, metric: &str, value: f64, unit: &'static str) {
        self.figures.push(Figure { metric: metric.to_owned(), value, unit });
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
        let width = self.figures.iter().map(|figure| figure.metric.len()).max().unwrap_or_default();
        let title = format!("steady_state: {APPLICATIONS} Applications with {OBJECTS} objects each, one Git repository\n");
        let rows = self
            .figures
            .iter()
            .map(|Figure { metric, value, unit }| format!("  {metric:<width$}  {:>9}  {unit}", number(*value).to_string()));
        title + &rows.collect::<Vec<_>>().join("\n")
    }

    /// One JSON object per line and figure.
    pub fn lines(&self) -> String {
        let line = |figure: &Figure| {
            let line = json!({
                "bench": "steady_state", "metric": figure.metric, "value": Value::Number(number(figure.value)), "unit": figure.unit,
            });
            format!("{line}\n")
        };
        self.figures.iter().map(line).collect()
    }
}

/// Two decimals, and none where there is nothing behind the point.
fn number(value: f64) -> Number {
    let rounded = (value * 100.0).round() / 100.0;
    if rounded.fract() == 0.0 {
        return Number::from(rounded as i64);
    }
    Number::from_f64(rounded).expect("a measured value is finite")
}
