//! What people see: the real program run in an empty environment, compared with transcripts.
//!
//! Each folder of `tests/cli` is a case: `transcript` holds the commands with what they print and their exit code. With a
//! `cluster` folder the program talks to a small API server that holds its objects; without one there is no kubeconfig,
//! unless the case brings a `kubeconfig` of its own. `UPDATE_TRANSCRIPTS=1 cargo test --test cli` writes what it sees.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "cli/support/api_server.rs"]
mod api_server;
#[path = "cli/support/case.rs"]
mod case;
#[path = "cli/secrets.rs"]
mod secrets;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use case::Case;

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let mut folders: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("transcript").exists());
    folders.sort();
    folders
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transcripts() {
    let update = std::env::var_os("UPDATE_TRANSCRIPTS").is_some();
    let mut differing = Vec::new();
    let cases = cases();
    assert!(!cases.is_empty(), "there are no transcripts");
    for folder in cases {
        let case = Case::prepare(&folder).await;
        let (expected, seen) = (case.expected(), case.run().await);
        if update {
            fs::write(folder.join("transcript"), &seen).unwrap();
        } else if expected != seen {
            let diff = similar::TextDiff::from_lines(&expected, &seen).unified_diff().header("expected", "seen").to_string();
            differing.push(format!("{}\n{diff}", folder.display()));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// A Secret that is piped in must not reach a program that only supplies credentials.
#[cfg(unix)]
#[test]
fn a_credential_plugin_gets_no_standard_input() {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let (plugin, got, config) = (dir.path().join("plugin"), dir.path().join("got"), dir.path().join("config"));
    fs::write(&plugin, format!("#!/bin/sh\ncat > {}\nexit 1\n", got.display())).unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
    let user = format!(
        "{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: {}, interactiveMode: IfAvailable}}}}",
        plugin.display()
    );
    fs::write(
        &config,
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n\
         clusters: [{{name: a, cluster: {{server: 'http://127.0.0.1:1'}}}}]\nusers: [{{name: a, user: {user}}}]\n"
        ),
    )
    .unwrap();
    let secret = b"kind: Secret\nmetadata: {name: db, namespace: web}\nstringData: {a: marker-plaintext}\n";
    let sealed = dir.path().join("sealed.yaml").display().to_string();
    fs::copy("tests/fixtures/sealing/strict/sealed.yaml", &sealed).unwrap();
    let commands: [&[&str]; 5] = [
        &["app", "list"],
        &["seal"],
        &["seal", "-w", &sealed],
        &["seal", "--merge-into", &sealed],
        &["seal", "--set", "a", &sealed],
    ];
    for command in commands {
        let _ = fs::remove_file(&got);
        let mut program = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"));
        program.args(command).arg("--kubeconfig").arg(&config).current_dir(dir.path());
        let mut child = program.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(secret);
        child.wait().unwrap();
        assert_eq!(fs::read_to_string(&got).unwrap(), "", "{command:?}: the plugin read our standard input");
    }
}

/// `kubectl gitops app list | head -1` ends without a word.
#[cfg(unix)]
#[test]
fn a_closed_pipe_ends_the_program_quietly() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"));
    program.arg("--help").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// A file under an old key: only its items change, a second run finds nothing to do, and a value that is set reaches no output.
#[test]
fn resealing_and_setting_a_key_change_only_the_lines_of_items() {
    const KEYS: &str = "tests/fixtures/sealing/keys/test-only-new.key,tests/fixtures/sealing/keys/test-only-old.key";
    const CERTIFICATE: &str = "tests/fixtures/sealing/keys/test-only-new.crt";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("db.yaml");
    let path = file.to_str().unwrap();
    let before =
        format!("# top\n{}# end\n", fs::read_to_string("tests/fixtures/sealing/old-key-among-three/sealed.yaml").unwrap());
    fs::write(&file, &before).unwrap();
    let run = |args: &[&str], stdin: &str| {
        use std::io::Write;
        let mut program = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"));
        program.env_clear().args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!text.contains("marker-secret"), "a value was printed: {text}");
        (output.status.code(), text)
    };
    let differing = |one: &str, other: &str| one.lines().zip(other.lines()).filter(|(a, b)| a != b).count();
    let reseal = ["reseal", path, "--key", KEYS, "--cert", CERTIFICATE];

    assert_eq!(run(&[&reseal[..], &["--check"]].concat(), "").0, Some(1));
    assert_eq!(fs::read_to_string(&file).unwrap(), before, "a check writes nothing");
    assert_eq!(run(&reseal, "").0, Some(0));
    let resealed = fs::read_to_string(&file).unwrap();
    assert_eq!(differing(&before, &resealed), 2, "two items");
    let again = run(&[&reseal[..], &["--check"]].concat(), "");
    assert_eq!(again, (Some(0), "would reseal 0, already newest 1\n".to_owned()));

    assert_eq!(run(&["seal", "--set", "password", path, "--cert", CERTIFICATE], "marker-secret").0, Some(0));
    assert_eq!(differing(&resealed, &fs::read_to_string(&file).unwrap()), 1, "one item");
    assert_eq!(run(&["verify", path, "--key", KEYS], "").0, Some(0));
}

/// Pull requests are reviewed without a cluster: here there is not even a kubeconfig.
#[test]
fn two_revisions_are_compared_without_a_cluster() {
    const MARKER: &str = "marker-plaintext";
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path();
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.arg("-C").arg(tree).args(args).env("GIT_CONFIG_GLOBAL", "/dev/null").env("HOME", tree);
        for role in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{role}_NAME"), "test").env(format!("GIT_{role}_EMAIL"), "test@localhost");
        }
        assert!(git.output().unwrap().status.success(), "git {args:?}");
    };
    let write = |path: &str, text: &str| {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let map = |value: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{k: '{value}'}}\n");
    let secret =
        |value: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData: {{password: {value}}}\n");
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["remote", "add", "origin", "https://git.example/shop.git"]);
    write(
        "applications/shop.yaml",
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: shop, namespace: argocd}\nspec:\n  project: default\n  \
         destination: {name: in-cluster, namespace: shop}\n  source: {repoURL: 'https://git.example/shop', path: app}\n",
    );
    write("app/settings.yaml", &map("one"));
    write("app/db.yaml", &secret(&format!("{MARKER}-1")));
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "one"]);
    git(&["switch", "--quiet", "--create", "topic"]);
    write("app/settings.yaml", &map("two"));
    write("app/db.yaml", &secret(&format!("{MARKER}-2")));
    git(&["commit", "--quiet", "--all", "--message", "two"]);

    let run = |args: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"));
        program.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/nonexistent").current_dir(tree).args(args);
        let output = program.stdin(Stdio::null()).output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(!text.concat().contains(MARKER), "a value is shown: {text:?}");
        (output.status.code(), text[0].clone(), text[1].clone())
    };
    let (code, out, err) = run(&["diff", "--revisions", "main...topic", "--offline"]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("argocd/shop: 2 change") && out.contains("  -   one\n  +   two\n"), "{out}{err}");
    let (_, out, _) = run(&["diff", "--revisions", "main..topic", "app", "-o", "markdown"]);
    assert!(
        out.starts_with("### app: 2 change") && out.contains("- one\n+ two\n") && out.contains("data.password (changed)"),
        "{out}"
    );

    // Without `..` it is compared with the files as they are.
    write("app/settings.yaml", &map("one"));
    write("app/db.yaml", &secret(&format!("{MARKER}-1")));
    assert_eq!(run(&["diff", "--revisions", "main", "--exit-code"]).0, Some(0));
    assert_eq!(run(&["diff", "--revisions", "main..no-such-branch"]).0, Some(2));
    let (code, _, err) = run(&["diff", "--offline"]);
    assert!(code == Some(2) && err.contains("--revisions"), "{err}");
}

/// The second page is held back until the first has been read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_applications_are_shown_before_the_last_page_is_there() {
    use axum::extract::RawQuery;
    use serde_json::json;
    use std::sync::Arc;
    use tokio::io::{AsyncBufReadExt as _, BufReader};

    let read = Arc::new(tokio::sync::Notify::new());
    let waits = Arc::clone(&read);
    let page = |from: usize, next: &str| {
        let app = |number: usize| {
            json!({ "metadata": { "name": format!("app-{number}"), "namespace": "argocd" },
            "spec": { "project": "default", "destination": {} } })
        };
        json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationList", "metadata": { "continue": next, "resourceVersion": "1" },
            "items": (from..from + 250).map(app).collect::<Vec<_>>() })
        .to_string()
    };
    let answer = move |RawQuery(query): RawQuery| {
        let waits = Arc::clone(&waits);
        async move {
            if !query.unwrap_or_default().contains("continue=") {
                return ([("content-type", "application/json")], page(0, "more"));
            }
            waits.notified().await;
            ([("content-type", "application/json")], page(250, ""))
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });

    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"));
    program
        .env_clear()
        .env("HOME", "/nonexistent")
        .args(["app", "list", "--server", &server])
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut child = program.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next_line().await.unwrap().unwrap().starts_with("NAME"));
    assert!(lines.next_line().await.unwrap().unwrap().starts_with("app-0 "));
    read.notify_one();
    let mut rest = 0;
    while lines.next_line().await.unwrap().is_some() {
        rest += 1;
    }
    assert_eq!((rest, child.wait().await.unwrap().code()), (499, Some(0)));
}

/// A folder needs no cluster. Values of Secrets reach no output unless they are asked for.
#[test]
fn a_folder_is_rendered_as_it_is_and_secrets_stay_hidden() {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("app/cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\n");
    write("app/secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: marker-plaintext}\n");
    write(
        "app.yaml",
        "# ours\napiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: shop}\nspec:\n  project: default\n  \
         source: {repoURL: https://git.example/x.git, path: app, directory: {exclude: 'secret*'}}\n  destination: {namespace: web}\n",
    );
    let run = |args: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"));
        let output = program.env_clear().env("HOME", dir.path()).args(args).current_dir(dir.path()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let objects = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: cm\n---\napiVersion: v1\ndata:\n  password: (masked)\n\
                   kind: Secret\nmetadata:\n  name: db\n";
    let (code, out, err) = run(&["render", "app"]);
    assert_eq!((code, out.as_str()), (Some(0), objects), "{err}");
    assert!(err.contains("the values of 1 Secret are hidden") && !err.contains("marker"), "{err}");
    assert!(run(&["render", "app", "--show-secrets"]).1.contains("marker-plaintext"));
    assert_eq!(run(&["render", "./app", "-o", "name"]).1, "configmap/cm\nsecret/db\n");
    assert!(!run(&["render", "app", "-o", "json"]).1.contains("marker"));

    let (code, out, err) = run(&["render", "-f", "app.yaml", "--explain"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("Renderer: directory") && out.contains("app/cm.yaml") && out.contains("1 object"), "{out}");
    let (code, _, err) = run(&["render", "./nothing"]);
    assert!(code == Some(2) && err.contains("cannot read the folder"), "{err}");

    assert_eq!(run(&["render", "app", "--output-dir", "out"]).0, Some(0));
    let written = fs::read_to_string(dir.path().join("out/secret_db.yaml")).unwrap();
    assert!(written.contains("(masked)") && !written.contains("marker"), "{written}");

    assert_eq!(run(&["app", "set", "-f", "app.yaml", "--revision", "v2"]).0, Some(0));
    let changed = fs::read_to_string(dir.path().join("app.yaml")).unwrap();
    assert!(changed.starts_with("# ours\n") && changed.contains("targetRevision: v2"), "{changed}");
}
