//! What is released installs with the real krew, and works from there. The debug build stands in for the release build: Krew does
//! not look inside.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "support/tools.rs"]
#[allow(dead_code, clippy::panic, reason = "other tests use the rest")]
mod tools;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use kubectl_gitops::resource::yaml;
use serde_json::Value;

const PLUGIN: &str = env!("CARGO_BIN_EXE_kubectl-gitops");

fn manifest() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugin-manifest/gitops.yaml");
    yaml::parse_one(&fs::read_to_string(path).unwrap()).unwrap()
}

fn program(name: &str) -> PathBuf {
    tools::tools().find(name).unwrap_or_else(|failure| panic!("{}", failure.what))
}

fn platform() -> String {
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    format!("{}-{arch}", if cfg!(target_os = "macos") { "darwin" } else { "linux" })
}

/// Archive and manifest of this machine's platform, in a folder.
fn release(folder: &Path) {
    let tool = Path::new(PLUGIN).with_file_name("examples").join("release");
    assert!(tool.is_file(), "{} is not built; run `cargo build --examples`", tool.display());
    let run = |arguments: &[&str]| {
        let output = Command::new(&tool).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["archive", PLUGIN, &platform(), folder.to_str().unwrap()]);
    run(&["manifest", folder.to_str().unwrap()]);
}

fn succeeded(output: Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Krew's own rules, plus those of its index that no program checks.
#[test]
fn the_manifest_keeps_the_rules_of_the_index() {
    let manifest = manifest();
    assert_eq!(manifest["metadata"]["name"], "gitops", "the file is named for the plugin");
    assert_eq!(manifest["spec"]["version"], format!("v{}", env!("CARGO_PKG_VERSION")));
    let short = manifest["spec"]["shortDescription"].as_str().unwrap();
    assert!(short.len() <= 50 && !short.contains('\n'), "{short}");
    let long = manifest["spec"]["description"].as_str().unwrap();
    assert!(long.lines().all(|line| line.len() <= 80), "{long}");
    let platforms = manifest["spec"]["platforms"].as_array().unwrap();
    assert_eq!(platforms.len(), 5);
    for platform in platforms {
        let labels = &platform["selector"]["matchLabels"];
        let (os, arch) = (labels["os"].as_str().unwrap(), labels["arch"].as_str().unwrap());
        assert!(platform["uri"].as_str().unwrap().ends_with(&format!("kubectl-gitops-{os}-{arch}.tar.gz")), "{platform}");
        assert_eq!(platform["bin"].as_str().unwrap().ends_with(".exe"), os == "windows", "{platform}");
        let sum = platform["sha256"].as_str().unwrap();
        assert!(sum.len() == 64 && sum.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')), "{platform}");
    }
    let validate = Command::new(program("validate-krew-manifest"))
        .args(["-manifest", concat!(env!("CARGO_MANIFEST_DIR"), "/plugin-manifest/gitops.yaml"), "-skip-install"])
        .output()
        .unwrap();
    succeeded(validate);
}

#[test]
fn the_same_program_gives_the_same_archive() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let sums = folders.each_ref().map(|folder| {
        release(folder.path());
        fs::read_to_string(folder.path().join("checksums.txt")).unwrap()
    });
    assert!(!sums[0].is_empty() && sums[0] == sums[1], "{sums:?}");
    let written = yaml::parse_one(&fs::read_to_string(folders[0].path().join("gitops.yaml")).unwrap()).unwrap();
    let sum = written["spec"]["platforms"][0]["sha256"].as_str().unwrap();
    assert!(sums[0].starts_with(sum), "{sum} {sums:?}");
}

#[test]
fn krew_installs_the_archive_and_kubectl_runs_it() {
    let folder = tempfile::tempdir().unwrap();
    let dist = folder.path().join("dist");
    release(&dist);
    let root = folder.path().join("krew");
    let path = format!("{}:{}:/usr/bin:/bin", root.join("bin").display(), tools::tools().bin().display());
    let in_root = |program: PathBuf| {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", &path)
            .env("HOME", folder.path())
            .env("KREW_ROOT", &root)
            .env("KREW_NO_UPGRADE_CHECK", "1");
        command.current_dir(folder.path());
        command
    };
    let manifest = format!("--manifest={}", dist.join("gitops.yaml").display());
    let archive = format!("--archive={}", dist.join(format!("kubectl-gitops-{}.tar.gz", platform())).display());
    succeeded(in_root(program("krew")).args(["install", &manifest, &archive]).output().unwrap());
    let store = root.join("store/gitops").join(concat!("v", env!("CARGO_PKG_VERSION")));
    assert!(store.join("LICENSE").is_file(), "the licence is not installed");

    let kubectl = tools::tools().kubectl();
    let version = succeeded(in_root(kubectl.clone()).args(["gitops", "version", "--client"]).output().unwrap());
    assert_eq!(version, concat!("client       v", env!("CARGO_PKG_VERSION"), "\n"));

    let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sealing/keys/test-only-new.crt");
    let mut seal = in_root(kubectl.clone());
    seal.args(["gitops", "seal", "--cert", certificate]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = seal.spawn().unwrap();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: web}\nstringData: {password: marker-41d0}\n";
    child.stdin.take().unwrap().write_all(secret.as_bytes()).unwrap();
    let sealed = succeeded(child.wait_with_output().unwrap());
    assert!(sealed.contains("kind: SealedSecret") && !sealed.contains("marker-41d0"), "{sealed}");

    // `krew list` wants the public index; the receipt is what it would list.
    assert!(root.join("receipts/gitops.yaml").is_file(), "krew keeps no receipt");
}
