//! The manifest of a release: `plugin-manifest/gitops.yaml` with the checksums and addresses of the archives that were made.

use std::fs;
use std::path::Path;

use kubectl_gitops::resource::yaml;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::archive;

/// Where releases are published.
pub const RELEASES: &str =
    concat!("https://github.com/kubectl-gitops/kubectl-gitops/releases/download/v", env!("CARGO_PKG_VERSION"));

/// Writes checksums and manifest for the archives in a folder; platforms without an archive are left out.
pub fn write(folder: &Path, base: &str) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugin-manifest/gitops.yaml");
    let text = fs::read_to_string(&path).map_err(|cause| format!("cannot read {}: {cause}", path.display()))?;
    let mut manifest = yaml::parse_one(&text).map_err(|cause| format!("{}: {cause}", path.display()))?;
    let mut sums = String::new();
    let platforms = manifest["spec"]["platforms"].as_array().cloned().unwrap_or_default();
    let made: Vec<Value> = platforms.into_iter().filter_map(|platform| fill(platform, folder, base, &mut sums)).collect();
    if made.is_empty() {
        return Err(format!("there is no archive in {}", folder.display()));
    }
    manifest["spec"]["platforms"] = json!(made);
    let written = fs::write(folder.join("checksums.txt"), sums)
        .and_then(|()| fs::write(folder.join("gitops.yaml"), yaml::to_yaml(&manifest)));
    written.map_err(|cause| format!("cannot write to {}: {cause}", folder.display()))
}

fn fill(mut platform: Value, folder: &Path, base: &str, sums: &mut String) -> Option<Value> {
    let label = |name: &str| platform["selector"]["matchLabels"][name].as_str().unwrap_or_default().to_owned();
    let file = archive::name(&format!("{}-{}", label("os"), label("arch")));
    let content = fs::read(folder.join(&file)).ok()?;
    let sum = hex::encode(Sha256::digest(content));
    sums.push_str(&format!("{sum}  {file}\n"));
    platform["sha256"] = json!(sum);
    platform["uri"] = json!(format!("{base}/{file}"));
    Some(platform)
}
