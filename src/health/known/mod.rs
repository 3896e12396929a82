//! What is known of the kinds of the ecosystem, as a table: which conditions, phases and counters mean what.
//!
//! The table is text (`tables/*.table`), read once when the first object of a kind outside [`super::RULES`] is assessed:
//!
//! ```text
//! [cert-manager.io/Certificate]                        kinds; `*.crossplane.io/*` is a pattern, an exact name wins
//! each status.conditions                               looks at the items in order, in its own, indented lines
//!   Progressing type=Issuing status=True "{message}"   verdict, tests that all have to hold, message
//! Progressing "Waiting for certificate"                without tests: what holds otherwise
//! ```
//!
//! The first line that holds decides. Paths are relative to the item of the innermost `each`, `^` to the one around it,
//! `$` to the object. Tests: `path` (there and not false), `!path`, `path=a|b`, `path!=a|b`, `path^=prefix`, `path~=part`,
//! `path==path` and `path<>path` (compared with another path), `path<n` and its kin with numbers, paths, `path?default`
//! and differences; `#path` is a length; `list.1` and `list.last` are items. `some(path tests)`, `no(path tests)` and `every(path tests)` look into a list.
//! `count(path tests)` is a number. Messages: `{path}`, `{a|b|'text'}` takes the first that is there, `{a:7}` its beginning,
//! `{a:lower}` in small letters, `{join 'separator' path tests 'message'}` goes through a list, `{list 'before' path tests
//! 'message' 'after'}` too if it is not empty, `{count path tests}` counts it, `{maybe 'before' path 'after'}` is there if the
//! path is; `{.}` is the item and `{@}` its place or key. Backticks quote what has quotes in it.
//!
//! Source: Argo CD 3.5 and 3.6, the kinds that it has bundled checks for; what differs is in `docs/compat/health.md`.

mod eval;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::OnceLock;

use globset::{Glob, GlobMatcher};

use super::Health;
use crate::resource::Object;

/// The tables, one per part of the alphabet of API groups.
const TABLES: &[(&str, &str)] = &[
    ("a-c", include_str!("tables/a-c.table")),
    ("d-h", include_str!("tables/d-h.table")),
    ("i-n", include_str!("tables/i-n.table")),
    ("o-r", include_str!("tables/o-r.table")),
    ("s-z", include_str!("tables/s-z.table")),
    ("patterns", include_str!("tables/patterns.table")),
];

struct Known {
    exact: HashMap<String, usize>,
    patterns: Vec<(GlobMatcher, usize)>,
    rules: Vec<Vec<parse::Line>>,
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut known = Known { exact: HashMap::new(), patterns: Vec::new(), rules: Vec::new() };
        for (_, text) in TABLES {
            // A table that cannot be read fails `every_table_can_be_read`; here its remaining kinds are left out.
            let Ok(sections) = parse::table(text) else { continue };
            for section in sections {
                for kind in section.kinds {
                    if !kind.contains('*') {
                        known.exact.insert(kind, known.rules.len());
                    } else if let Ok(glob) = Glob::new(&kind) {
                        known.patterns.push((glob.compile_matcher(), known.rules.len()));
                    }
                }
                known.rules.push(section.lines);
            }
        }
        known
    })
}

/// Assesses an object by the table; outer `None` when its kind is not in it, inner when no line holds.
#[expect(clippy::option_option, reason = "an unknown kind and a known one without a verdict are two answers")]
pub(super) fn assess(live: &Object) -> Option<Option<Health>> {
    let known = known();
    let kind = live.group_kind();
    let name = kind.to_string();
    // Core kinds have no entry, and are the most frequent without a rule.
    if kind.group.is_empty() {
        return None;
    }
    let index = known
        .exact
        .get(&name)
        .copied()
        .or_else(|| known.patterns.iter().find(|(glob, _)| glob.is_match(&name)).map(|(_, index)| *index))?;
    Some(eval::assess(known.rules.get(index)?, live))
}

/// The kinds of the table, as `group/Kind` or patterns, sorted.
#[must_use]
pub fn kinds() -> Vec<String> {
    let mut kinds: Vec<String> =
        TABLES.iter().filter_map(|(_, text)| parse::table(text).ok()).flatten().flat_map(|section| section.kinds).collect();
    kinds.sort();
    kinds
}
