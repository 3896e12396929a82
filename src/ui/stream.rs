//! Stdout is data, stderr is talk. A closed pipe is not an error: whoever read it has seen enough, and the program ends.
//!
//! Styled text may always be written: the streams drop the styles where they are not wanted, each stream for itself.

use std::io::{ErrorKind, IsTerminal, Write};

/// The exit code of a program that a closed pipe ended, as the shell reports it.
const CLOSED_PIPE: i32 = 141;

/// Writes text to stdout as it is.
pub fn out(text: &str) {
    finish(write(&mut anstream::stdout().lock(), text.as_bytes()));
}

/// Writes bytes to stdout as they are.
pub fn out_bytes(bytes: &[u8]) {
    finish(write(&mut std::io::stdout().lock(), bytes));
}

/// Writes one line to stderr.
pub fn say(line: &str) {
    say_raw(&format!("{line}\n"));
}

/// Writes text to stderr without a line end, for prompts and for redrawing.
pub fn say_raw(text: &str) {
    // Nobody is left to tell when stderr is gone, and the answer on stdout still counts.
    let _ = write(&mut anstream::stderr().lock(), text.as_bytes());
}

/// True when stderr can be redrawn in place: a terminal that is not dumb, outside continuous integration.
#[must_use]
pub fn can_redraw() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb") && !set("CI")
}

/// Width of the terminal that stdout goes to; `None` when it goes elsewhere.
#[must_use]
pub fn width() -> Option<usize> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0))
}

/// Width and height of the terminal that stderr goes to.
#[must_use]
pub fn stderr_size() -> Option<(usize, usize)> {
    terminal_size::terminal_size_of(std::io::stderr()).map(|(width, height)| (usize::from(width.0), usize::from(height.0)))
}

fn write(stream: &mut dyn Write, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}

fn finish(result: std::io::Result<()>) {
    if result.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        std::process::exit(CLOSED_PIPE);
    }
}
