//! Packs release archives and writes the manifest of the Krew plugin: `make release`, and the release workflow.
//!
//! ```text
//! release archive PROGRAM PLATFORM FOLDER    FOLDER/kubectl-gitops-PLATFORM.tar.gz: the program and the licence
//! release manifest FOLDER [BASE-URL]         FOLDER/checksums.txt and FOLDER/gitops.yaml, for the archives that are there
//! ```
//!
//! The same program gives the same archive, byte for byte: order, owner, mode and time are fixed.

#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a program of the repository")]

#[path = "release/archive.rs"]
mod archive;
#[path = "release/manifest.rs"]
mod manifest;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["archive", program, platform, folder] => archive::pack(Path::new(program), platform, Path::new(folder)),
        ["manifest", folder] => manifest::write(Path::new(folder), manifest::RELEASES),
        ["manifest", folder, base] => manifest::write(Path::new(folder), base),
        _ => Err("usage: release archive PROGRAM PLATFORM FOLDER | release manifest FOLDER [BASE-URL]".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::from(2)
        }
    }
}
