//! Where a template failed, written as Go writes it.

use std::fmt;

use crate::template::format::quoted;
use crate::template::syntax::{Command, Pipe, Word};

/// A part of a template.
#[derive(Clone, Copy)]
pub(super) enum Place<'t> {
    Start,
    Pipe(&'t Pipe),
    Command(&'t Command),
    Word(&'t Word),
    Template { pos: usize, name: &'t str, pipe: Option<&'t Pipe> },
}

impl Place<'_> {
    pub(super) const fn pos(self) -> usize {
        match self {
            Self::Start => 0,
            Self::Pipe(pipe) => pipe.pos,
            Self::Command(command) => command.pos,
            Self::Word(word) => word.pos,
            Self::Template { pos, .. } => pos,
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => Ok(()),
            Self::Pipe(pipe) => pipe.fmt(f),
            Self::Command(command) => command.fmt(f),
            Self::Word(word) => match &word.kind {
                crate::template::syntax::WordKind::Pipe(pipe) => pipe.fmt(f),
                _ => word.fmt(f),
            },
            Self::Template { name, pipe, .. } => {
                write!(f, "{{{{template {}", quoted(name.as_bytes()))?;
                if let Some(pipe) = pipe {
                    write!(f, " {pipe}")?;
                }
                f.write_str("}}")
            }
        }
    }
}

/// Line from 1, and bytes before the position in its line.
pub(super) fn line_and_column(source: &str, pos: usize) -> (usize, usize) {
    let before = &source.as_bytes()[..pos.min(source.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let column = before.iter().rposition(|byte| *byte == b'\n').map_or(before.len(), |at| before.len() - at - 1);
    (line, column)
}
