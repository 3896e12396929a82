//! Paths with slashes. The `os` forms are the same, because controllers run on Linux.

use super::{Function, Type, fixed};
use crate::template::value::Value;

use Type::Text as Str;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("base", &[Str], |_, a| Ok(Value::text(base(a.bytes(0))))),
    fixed("dir", &[Str], |_, a| Ok(Value::text(directory(a.bytes(0)).as_slice()))),
    fixed("clean", &[Str], |_, a| Ok(Value::text(clean(a.bytes(0)).as_slice()))),
    fixed("ext", &[Str], |_, a| Ok(Value::text(extension(a.bytes(0))))),
    fixed("isAbs", &[Str], |_, a| Ok(Value::Bool(a.bytes(0).starts_with(b"/")))),
    fixed("osBase", &[Str], |_, a| Ok(Value::text(base(a.bytes(0))))),
    fixed("osDir", &[Str], |_, a| Ok(Value::text(directory(a.bytes(0)).as_slice()))),
    fixed("osClean", &[Str], |_, a| Ok(Value::text(clean(a.bytes(0)).as_slice()))),
    fixed("osExt", &[Str], |_, a| Ok(Value::text(extension(a.bytes(0))))),
    fixed("osIsAbs", &[Str], |_, a| Ok(Value::Bool(a.bytes(0).starts_with(b"/")))),
];

fn base(path: &[u8]) -> &[u8] {
    if path.is_empty() {
        return b".";
    }
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    let path = &path[..end];
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    if path.is_empty() { b"/" } else { &path[start..] }
}

fn directory(path: &[u8]) -> Vec<u8> {
    let end = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    clean(&path[..end])
}

fn extension(path: &[u8]) -> &[u8] {
    let name = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    path[name..].iter().rposition(|byte| *byte == b'.').map_or(&[], |at| &path[name + at..])
}

/// The shortest path of the same meaning, by its text alone.
fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.starts_with(b"/");
    let mut kept: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if kept.last().is_some_and(|last| *last != b"..") => {
                kept.pop();
            }
            b".." if rooted => {}
            part => kept.push(part),
        }
    }
    let joined = kept.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", joined.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}
