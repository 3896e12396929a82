//! Writes the files that are generated from the code: `cargo run --example generate`.
//!
//! A library test compares each of them with what the code says now, so a forgotten run fails `make test`.

mod chart;
mod in_kube_system;

use std::path::Path;
use std::{fs, io};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, text) in kubectl_gitops::api::crd::yaml() {
        write(&root.join("deploy/crds").join(name), &text)?;
    }
    write(&root.join("deploy/optional/in-kube-system.yaml"), &in_kube_system::manifests(&root.join("deploy")))?;
    for (name, text) in chart::files(&root.join("deploy")) {
        write(&root.join("deploy/chart").join(name), &text)?;
    }
    write(&root.join("docs/reference/cli.md"), &kubectl_gitops::cli::reference::markdown())
}

/// Leaves a file alone that is up to date, so that nothing downstream is rebuilt for its time stamp.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}
