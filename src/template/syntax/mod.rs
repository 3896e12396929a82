//! From the text of a template to its tree, with the errors of Go's parser.
//!
//! Own code, because a parser that is more lenient than Go's would render what upstream refuses: a stray `{{end}}` or a missing
//! one, an undefined function in a branch that is not taken.
//!
//! Source: Go's `text/template` language as documented; texts of errors from Go 1.26, in `tests/fixtures/go-template`.

mod lexer;
mod literal;
mod parser;
mod tree;

pub use literal::{float as parse_float, int as parse_int};
pub use parser::parse;
pub use tree::{Branch, Command, Literal, Node, Number, Pipe, Trees, Word, WordKind};
