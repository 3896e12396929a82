//! One region of the terminal that is redrawn in place.
//!
//! The cursor is never hidden, so there is nothing to restore when the program ends in the middle.

use std::io::Write;

/// A region at the bottom of stderr.
#[derive(Debug, Default)]
pub struct Region {
    drawn: usize,
}

impl Region {
    /// Replaces what the region shows; each line must fit the width of the terminal.
    pub fn draw(&mut self, lines: &[String]) {
        let mut text = self.back();
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        self.drawn = lines.len();
        write(&text);
    }

    /// Takes the region away, so that ordinary lines can follow.
    pub fn clear(&mut self) {
        let text = self.back();
        self.drawn = 0;
        write(&text);
    }

    /// Moves to the beginning of the region and clears down to the end of the screen.
    fn back(&self) -> String {
        if self.drawn == 0 { String::new() } else { format!("\x1b[{}A\r\x1b[J", self.drawn) }
    }
}

fn write(text: &str) {
    let mut stderr = std::io::stderr().lock();
    // `NO_COLOR` takes the colours away but not the redrawing, so only the colours go through the filter.
    let plain = anstream::AutoStream::choice(&stderr) == anstream::ColorChoice::Never;
    let text = if plain { without_colors(text) } else { text.to_owned() };
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}

/// Removes colour sequences (`ESC [ ... m`) and keeps cursor movement.
fn without_colors(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("\x1b[") {
        let end = rest[start + 2..].find(|c: char| c.is_ascii_alphabetic()).map_or(rest.len(), |at| start + 2 + at + 1);
        kept.push_str(&rest[..start]);
        if !rest[start..end].ends_with('m') {
            kept.push_str(&rest[start..end]);
        }
        rest = &rest[end..];
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::without_colors;

    #[test]
    fn colours_go_and_cursor_movement_stays() {
        assert_eq!(without_colors("\x1b[3A\r\x1b[J\x1b[31mred\x1b[0m end"), "\x1b[3A\r\x1b[Jred end");
    }
}
