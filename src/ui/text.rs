//! Text from the cluster must not drive the terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Makes text from the cluster safe for one line: line breaks and tabs become spaces, other control characters go.
#[must_use]
pub fn clean(text: &str) -> String {
    let spaced = text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c });
    spaced.filter(|c| !c.is_control() && !is_direction_override(*c)).collect::<String>().trim_end().to_owned()
}

/// Characters that reorder the text around them, with which a name can pretend to be another.
const fn is_direction_override(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Columns that the text takes on a terminal.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// Cuts text to a number of columns, with `…` (or `...`) where something was cut.
#[must_use]
pub fn cut(text: &str, columns: usize, ellipsis: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(width(ellipsis));
    let mut taken = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        taken.push(c);
    }
    taken + ellipsis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{7}\u{202e}d\r\n"), "a[2Jb cd");
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(cut("日本語テキスト", 7, "…"), "日本語…");
        assert_eq!(cut("short", 7, "…"), "short");
        assert_eq!(cut("shorten", 6, "..."), "sho...");
    }
}
