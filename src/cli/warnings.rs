//! What the API server warns of is told once, on stderr.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use http::Response;
use http::header::WARNING;

use crate::ui::{paint, stream, text};

/// The warnings of one run.
#[derive(Debug, Clone, Default)]
pub struct Warnings {
    heard: Arc<Mutex<BTreeSet<String>>>,
}

impl Warnings {
    /// Tells the warnings of a response that are new, and passes it on.
    pub fn listen<B>(&self, response: Response<B>) -> Response<B> {
        for value in response.headers().get_all(WARNING) {
            let Some(warning) = value.to_str().ok().and_then(message) else { continue };
            let is_new = self.heard.lock().unwrap_or_else(PoisonError::into_inner).insert(warning.clone());
            if is_new {
                stream::say(&format!("{} {}", paint::attention("Warning:"), text::clean(&warning)));
            }
        }
        response
    }

    /// How many different warnings there were.
    pub fn count(&self) -> usize {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// The text of a warning header: `299 - "text"`, with quotes and backslashes escaped.
fn message(header: &str) -> Option<String> {
    let quoted = header.splitn(3, ' ').nth(2)?.trim().strip_prefix('"')?;
    let mut text = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some(text),
            '\\' => text.push(chars.next()?),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_unpacked() {
        assert_eq!(message(r#"299 - "v1 \"Old\" is deprecated""#).as_deref(), Some(r#"v1 "Old" is deprecated"#));
        for header in ["", "299", "299 -", "299 - text", r#"299 - "open"#] {
            assert_eq!(message(header), None, "{header}");
        }
    }

    #[test]
    fn the_same_warning_counts_once() {
        let warnings = Warnings::default();
        for _ in 0..2 {
            let response = Response::builder().header(WARNING, r#"299 - "old""#).body(());
            let _ = warnings.listen(response.unwrap_or_default());
        }
        assert_eq!(warnings.count(), 1);
    }
}
