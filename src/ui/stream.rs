//! Stdout is data, stderr is talk. A closed pipe is not an error: writing to one ends quietly.

use std::io::Write;

/// Writes text to stdout as it is.
pub fn out(text: &str) {
    write(&mut anstream::stdout().lock(), text);
}

/// Writes bytes to stdout as they are.
pub fn out_bytes(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(bytes);
    let _ = stdout.flush();
}

/// Writes one line to stderr.
pub fn say(line: &str) {
    let mut stderr = anstream::stderr().lock();
    write(&mut stderr, line);
    write(&mut stderr, "\n");
}

fn write(stream: &mut dyn Write, text: &str) {
    // The only failure that happens in practice is a closed pipe, and nobody is left to tell.
    let _ = stream.write_all(text.as_bytes());
    let _ = stream.flush();
}
