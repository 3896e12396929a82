//! Colours mean something and never mean it alone: the word or symbol says the same.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();
const GREY: Style = AnsiColor::BrightBlack.on_default();

/// Puts a style around text.
#[must_use]
pub fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Good: green.
#[must_use]
pub fn good(text: impl Display) -> String {
    styled(GREEN, text)
}

/// In progress or to be looked at: yellow.
#[must_use]
pub fn attention(text: impl Display) -> String {
    styled(YELLOW, text)
}

/// Bad: red.
#[must_use]
pub fn bad(text: impl Display) -> String {
    styled(RED, text)
}

/// Unknown or unimportant: grey.
#[must_use]
pub fn faint(text: impl Display) -> String {
    styled(GREY, text)
}

/// Bold.
#[must_use]
pub fn bold(text: impl Display) -> String {
    styled(Style::new().bold(), text)
}

/// A sync status, health status or operation phase in its colour.
#[must_use]
pub fn status(word: &str) -> String {
    match word {
        "Synced" | "Healthy" | "Succeeded" => good(word),
        "OutOfSync" | "Progressing" | "Running" | "Missing" | "Terminating" => attention(word),
        "Degraded" | "Failed" | "Error" | "SyncFailed" => bad(word),
        _ => faint(word),
    }
}
