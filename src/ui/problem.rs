//! Errors on the screen: `error:`, then the chain of `cause:`, then one `hint:`.

use super::{paint, text};

/// Renders an error with its causes and its hint.
#[must_use]
pub fn render(what: &str, causes: &[String], hint: Option<&str>) -> String {
    let mut lines = vec![format!("{} {}", paint::bad("error:"), safe(what))];
    lines.extend(causes.iter().map(|cause| format!("{} {}", paint::attention("cause:"), safe(cause))));
    lines.extend(hint.map(|hint| format!("{} {}", paint::good("hint:"), safe(hint))));
    lines.join("\n")
}

/// Renders something to know that is no error, with its hint.
#[must_use]
pub fn note(what: &str, hint: Option<&str>) -> String {
    let mut lines = vec![format!("{} {}", paint::attention("note:"), safe(what))];
    lines.extend(hint.map(|hint| format!("{} {}", paint::good("hint:"), safe(hint))));
    lines.join("\n")
}

/// Keeps line breaks, which help in long messages, and drops every other control character.
fn safe(message: &str) -> String {
    message.lines().map(text::clean).collect::<Vec<_>>().join("\n  ")
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn one_line_for_each_part() {
        let text = render("cannot sync web", &["first\nsecond".into()], Some("try again"));
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain, "error: cannot sync web\ncause: first\n  second\nhint: try again");
    }
}
