//! Help for the tests of this crate.
#![expect(clippy::panic, reason = "a test that cannot run has to fail")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Path of one of the pinned programs that `make tools` builds. Nothing is skipped silently: without it the test fails.
pub fn tool(name: &str) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/build.sh");
    let output = Command::new(script).arg("--path").output().unwrap_or_else(|error| panic!("tests/tools/build.sh: {error}"));
    let program = Path::new(String::from_utf8_lossy(&output.stdout).trim()).join(name);
    assert!(program.is_file(), "{} is missing; `make tools` builds it", program.display());
    program
}
