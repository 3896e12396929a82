//! What a program needs of the system before its first own instruction.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Headers lie at the beginning of a program; the name of the interpreter comes right after them.
const HEAD_BYTES: u64 = 64 << 10;

/// How a program is started.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// By the kernel alone, as most Go programs are.
    Static,
    /// By the dynamic linker, which reads libraries.
    Dynamic { interpreter: PathBuf },
    /// By a shell or the like, which starts other programs of the system.
    Script,
}

impl Program {
    /// Looks at a file. One that cannot be read or is something else cannot be started, which the caller will notice.
    pub(super) fn of(path: &Path) -> Self {
        let mut head = Vec::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
        match (read, head.as_slice()) {
            (Ok(_), [b'#', b'!', ..]) => Self::Script,
            (Ok(_), head) => interpreter(head).map_or(Self::Static, |interpreter| Self::Dynamic { interpreter }),
            (Err(_), _) => Self::Static,
        }
    }
}

/// The dynamic linker that a 64-bit little-endian ELF file names.
///
/// Source: System V ABI, object files (ELF-64 header, program header `PT_INTERP`).
fn interpreter(head: &[u8]) -> Option<PathBuf> {
    const PT_INTERP: u64 = 3;
    let number = |at: usize, bytes: usize| {
        let field = head.get(at..at.checked_add(bytes)?)?;
        Some(field.iter().rev().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte)))
    };
    let place = |at: usize, bytes: usize| usize::try_from(number(at, bytes)?).ok();
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (place(0x20, 8)?, place(0x36, 2)?, place(0x38, 2)?);
    let header =
        (0..count).map(|index| index.saturating_mul(size).saturating_add(table)).find(|at| number(*at, 4) == Some(PT_INTERP))?;
    let (offset, length) = (place(header.checked_add(8)?, 8)?, place(header.checked_add(32)?, 8)?);
    let name = head.get(offset..offset.checked_add(length)?)?;
    Some(PathBuf::from(OsStr::from_bytes(name.split(|byte| *byte == 0).next()?)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn tells_programs_apart() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        assert_eq!(Program::of(&script), Program::Script);
        assert_eq!(Program::of(&crate::testing::tool("kustomize")), Program::Static);
        let Program::Dynamic { interpreter } = Program::of(Path::new("/bin/sh")) else {
            unreachable!("a shell is linked dynamically")
        };
        assert!(interpreter.is_file(), "{interpreter:?}");
        std::fs::write(&script, b"\x7fELF\x02\x01\xff").unwrap();
        assert_eq!(Program::of(&script), Program::Static, "a broken header is no panic");
    }
}
