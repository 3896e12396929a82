//! Figures of a benchmark: a table for people, JSON lines for programs.

use serde_json::{Number, Value, json};

/// All figures, in the order they were taken.
#[derive(Debug, Default)]
pub struct Figures(Vec<Figure>);

#[derive(Debug)]
struct Figure {
    metric: String,
    value: f64,
    unit: &'static str,
}

impl Figures {
    /// Adds one figure.
    pub fn add(&mut self, metric: &str, value: f64, unit: &'static str) {
        self.0.push(Figure { metric: metric.to_owned(), value, unit });
    }

    /// The table, below its title.
    pub fn table(&self, title: &str) -> String {
        let width = self.0.iter().map(|figure| figure.metric.len()).max().unwrap_or_default();
        let rows = self
            .0
            .iter()
            .map(|Figure { metric, value, unit }| format!("  {metric:<width$}  {:>9}  {unit}", number(*value).to_string()));
        format!("{title}\n") + &rows.collect::<Vec<_>>().join("\n")
    }

    /// One JSON object per line and figure.
    pub fn lines(&self, bench: &str) -> String {
        let line = |figure: &Figure| {
            let line = json!({
                "bench": bench, "metric": figure.metric, "value": Value::Number(number(figure.value)), "unit": figure.unit,
            });
            format!("{line}\n")
        };
        self.0.iter().map(line).collect()
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
