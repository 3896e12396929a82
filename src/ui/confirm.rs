//! Asking before something is done that is not easily undone.

use std::io::{BufRead as _, IsTerminal as _};

use super::stream;

/// Whether there is somebody to ask.
#[must_use]
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks a question on stderr; anything but `y` or `yes` means no.
///
/// # Errors
/// When standard input cannot be read.
pub fn ask(question: &str) -> std::io::Result<bool> {
    stream::say_raw(&format!("{question} [y/N] "));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Asks on stderr for a word; anything else means no.
///
/// # Errors
/// When standard input cannot be read.
pub fn ask_for(question: &str, word: &str) -> std::io::Result<bool> {
    stream::say_raw(&format!("{question} "));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == word)
}
