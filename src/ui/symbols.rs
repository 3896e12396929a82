//! Symbols, with plain ones where the locale is not UTF-8.

use std::sync::OnceLock;

/// The symbols in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbols {
    /// Done.
    pub done: &'static str,
    /// Failed.
    pub failed: &'static str,
    /// Waiting.
    pub waiting: &'static str,
    /// Attention.
    pub attention: &'static str,
    /// From one value to another.
    pub arrow: &'static str,
    /// Something was cut.
    pub ellipsis: &'static str,
    /// Opens a word that stands for a hidden value.
    pub open: &'static str,
    /// Closes it.
    pub close: &'static str,
    /// A filled part of a progress bar.
    pub full: &'static str,
    /// An empty part of a progress bar.
    pub empty: &'static str,
    /// Separates facts on one line.
    pub dot: &'static str,
    /// Frames of the spinner.
    pub spinner: &'static [&'static str],
}

/// For UTF-8 terminals.
pub const UNICODE: Symbols = Symbols {
    done: "✔",
    failed: "✗",
    waiting: "·",
    attention: "!",
    arrow: "→",
    ellipsis: "…",
    open: "‹",
    close: "›",
    full: "█",
    empty: "░",
    dot: "·",
    spinner: &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"],
};

/// For everything else.
pub const ASCII: Symbols = Symbols {
    done: "ok",
    failed: "x",
    waiting: ".",
    attention: "!",
    arrow: "->",
    ellipsis: "...",
    open: "<",
    close: ">",
    full: "#",
    empty: ".",
    dot: "-",
    spinner: &["|", "/", "-", "\\"],
};

impl Symbols {
    /// The symbols for this run's locale.
    #[must_use]
    pub fn get() -> &'static Self {
        static CHOSEN: OnceLock<&'static Symbols> = OnceLock::new();
        CHOSEN.get_or_init(|| {
            let locale =
                ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(|name| std::env::var(name).ok()).find(|v| !v.is_empty());
            if cfg!(windows) || locale.as_deref().is_some_and(is_utf8) { &UNICODE } else { &ASCII }
        })
    }
}

fn is_utf8(locale: &str) -> bool {
    let upper = locale.to_ascii_uppercase();
    upper.contains("UTF-8") || upper.contains("UTF8")
}

#[cfg(test)]
mod tests {
    use super::is_utf8;

    #[test]
    fn locales_are_recognised() {
        for (locale, unicode) in [("de_DE.UTF-8", true), ("C.utf8", true), ("C", false), ("POSIX", false), ("de_DE@euro", false)]
        {
            assert_eq!(is_utf8(locale), unicode, "{locale}");
        }
    }
}
