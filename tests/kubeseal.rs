//! The drop-in beside the original: the same arguments, standard input and files for both.
//!
//! Each folder of `tests/fixtures/kubeseal/cases` is a case: `args` (one a line), perhaps `stdin`, `env` and `files/`. `answer` is what
//! the real kubeseal says: exit code, streams, and the files it changed, with every sealed value opened by the test keys. Ours must
//! say the same, unless the case has a file `ours`, whose first line says why not.
//!
//! `UPDATE_KUBESEAL=1 cargo test --test kubeseal` writes what both say; a new difference must then be explained by hand.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "support/tools.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod tools;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use kubectl_gitops::api::SealedSecret;
use kubectl_gitops::resource::yaml;
use kubectl_gitops::sealing::{Certificate, Keyring, Scope, SealingKey, Target, Trial, decode_base64, encode_base64};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Longer than any run that ends at all.
const HANGS_AFTER: Duration = Duration::from_secs(20);

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn key_file(name: &str) -> String {
    fs::read_to_string(fixtures().join("sealing/keys").join(format!("test-only-{name}"))).unwrap()
}

fn keyring() -> Keyring {
    let key = |name: &str| {
        let certificate = Certificate::from_pem(&key_file(&format!("{name}.crt"))).unwrap();
        SealingKey::from_pem(&key_file(&format!("{name}.key")), certificate).unwrap().unwrap().into()
    };
    Keyring::new(["old", "new", "small"].map(key))
}

/// One case, read.
struct Case {
    folder: PathBuf,
    args: Vec<String>,
    stdin: Vec<u8>,
    environment: Vec<(String, String)>,
}

impl Case {
    fn all() -> Vec<Self> {
        let mut folders: Vec<PathBuf> =
            fs::read_dir(fixtures().join("kubeseal/cases")).unwrap().map(|entry| entry.unwrap().path()).collect();
        folders.sort();
        folders.into_iter().map(Self::read).collect()
    }

    fn read(folder: PathBuf) -> Self {
        let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
        Self {
            args: text("args").lines().map(str::to_owned).collect(),
            stdin: fs::read(folder.join("stdin")).unwrap_or_default(),
            environment: text("env").lines().map(pair).collect(),
            folder,
        }
    }

    fn name(&self) -> &str {
        self.folder.file_name().unwrap().to_str().unwrap()
    }

    fn recorded(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(name)).ok()
    }

    /// Runs a program in a folder of its own and tells what it did.
    fn run(&self, program: &Path, keys: &Keyring) -> String {
        let folder = tempfile::tempdir().unwrap();
        self.prepare(folder.path());
        let before = files(folder.path());
        let mut command = Command::new(program);
        command.args(&self.args).env_clear().envs(self.environment.iter().cloned()).env("HOME", "/nonexistent");
        command.current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let Some(output) = finish(command, &self.stdin) else { return "hangs\n".to_owned() };
        let mut seen = self.describe(&output, keys);
        for (name, content) in files(folder.path()).iter().filter(|(name, content)| before.get(*name) != Some(content)) {
            // The temporary file that the original leaves behind has a random name.
            let name = if name.starts_with('.') { ".temporary" } else { name };
            write!(seen, "--- {name}\n{}", self.content(content, keys)).unwrap();
        }
        seen.replace(folder.path().to_str().unwrap(), "$TEST")
    }

    fn prepare(&self, folder: &Path) {
        for source in [fixtures().join("kubeseal/shared"), self.folder.join("files")] {
            for (name, content) in files(&source) {
                fs::write(folder.join(name), content).unwrap();
            }
        }
        let put = |name: &str, content: &str| fs::write(folder.join(name), content).unwrap();
        let (certificate, key) = (key_file("new.crt"), key_file("new.key"));
        put("cert.pem", &certificate);
        put("small.pem", &key_file("small.crt"));
        put("two.pem", &format!("{certificate}{}", key_file("old.crt")));
        put("text.pem", &format!("Bag Attributes\n{}", certificate.replace('\n', "\r\n")));
        put("key.pem", &key);
        put("old.pem", &key_file("old.key"));
        put("ec.key", &key_file("ec.key"));
        let secret = |key: &str| {
            let data = json!({"tls.key": encode_base64(key.as_bytes()), "tls.crt": ""});
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "data": data})
        };
        let [old, new] = [key_file("old.key"), key].map(|key| secret(&key));
        put("backup.yaml", &yaml::to_yaml(&json!({"apiVersion": "v1", "kind": "List", "items": [old, new]})));
        put("documents.yaml", &format!("{}---\n{}", yaml::to_yaml(&old), yaml::to_yaml(&new)));
    }

    fn describe(&self, output: &Output, keys: &Keyring) -> String {
        let [stdout, stderr] = [&output.stdout, &output.stderr];
        let code = code(output.status);
        if String::from_utf8_lossy(stderr).contains("goroutine ") {
            return "crashes\n".to_owned();
        }
        if code == 2 {
            // The list of flags comes first, on whichever stream; the last line says what is wrong.
            let text = String::from_utf8_lossy(&[stderr.as_slice(), stdout.as_slice()].concat()).into_owned();
            return format!("exit 2\n--- usage\n{}\n", text.trim_end().lines().last().unwrap_or_default());
        }
        let mut seen = format!("exit {code}\n");
        for (name, bytes) in [("stdout", stdout), ("stderr", stderr)] {
            if !bytes.is_empty() {
                write!(seen, "--- {name}\n{}", self.content(bytes, keys)).unwrap();
            }
        }
        seen
    }

    /// A stream or file with every sealed value opened; JSON and YAML are told apart and then written alike.
    fn content(&self, bytes: &[u8], keys: &Keyring) -> String {
        let text = String::from_utf8_lossy(bytes).into_owned();
        if let Some(opened) = self.raw_value(&text, keys) {
            return opened;
        }
        let objects = yaml::parse_stream(&text).ok().filter(|documents| !documents.is_empty());
        let is_object = |value: &Value| value.get("kind").is_some();
        match objects {
            Some(documents) if documents.iter().all(|document| is_object(&document.value)) => {
                let mut seen = if text.trim_start().starts_with('{') { "(json)\n".to_owned() } else { "(yaml)\n".to_owned() };
                for line in text.lines().filter(|line| line.starts_with('#')) {
                    writeln!(seen, "{line}").unwrap();
                }
                for document in documents {
                    write!(seen, "---\n{}", yaml::to_yaml(&readable(document.value, keys))).unwrap();
                }
                seen
            }
            _ if text.is_empty() => "(empty)\n".to_owned(),
            // The original prints the addresses in its memory.
            _ if text.contains("&{0x") => format!("{}...\n", text.split("&{0x").next().unwrap_or_default()),
            _ if text.ends_with('\n') => text,
            _ => format!("{text}\n(no newline)\n"),
        }
    }

    /// What `--raw` printed, opened.
    fn raw_value(&self, text: &str, keys: &Keyring) -> Option<String> {
        let blob = decode_base64(text).ok().filter(|blob| blob.len() > 200)?;
        let end = if text.ends_with('\n') { "" } else { " (no newline)" };
        for scope in [Scope::ClusterWide, Scope::NamespaceWide, Scope::Strict] {
            for (namespace, name) in [("web", "db"), ("default", "db")] {
                let target = Target::new(namespace, name, scope);
                if let Some(value) = keys.open(&target.label(), &blob, &mut Trial::default()) {
                    return Some(format!("sealed for {target}: {}{end}\n", shown(value.reveal())));
                }
            }
        }
        Some("sealed for nobody knows whom\n".to_owned())
    }
}

/// Puts the values in place of the ciphertexts and drops nulls, which mean nothing.
fn readable(mut value: Value, keys: &Keyring) -> Value {
    if value["kind"] == "SealedSecret"
        && let Ok(object) = serde_json::from_value::<SealedSecret>(value.clone())
    {
        let target = Target::of(&object.metadata);
        for (key, text) in &object.spec.encrypted_data {
            let blob = decode_base64(text).unwrap_or_default();
            let opened = keys.open(&target.label(), &blob, &mut Trial::default());
            value["spec"]["encryptedData"][key] = match opened {
                Some(plaintext) => format!("for {target}: {}", shown(plaintext.reveal())),
                None => "does not open here".to_owned(),
            }
            .into();
        }
    }
    without_nulls(value)
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            map.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, without_nulls(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

fn shown(plaintext: &[u8]) -> String {
    match std::str::from_utf8(plaintext) {
        Ok(text) if text.len() < 100 => format!("{text:?}"),
        _ => format!("{} bytes {}", plaintext.len(), &hex::encode(Sha256::digest(plaintext))[..16]),
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    paths.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())).collect()
}

/// The output, or nothing when the program has to be killed.
fn finish(mut command: Command, stdin: &[u8]) -> Option<Output> {
    let mut child = command.spawn().unwrap();
    // A program that refuses early does not read.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let started = Instant::now();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read = |stream: &mut dyn std::io::Read| {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    };
    std::thread::scope(|scope| {
        let stdout = scope.spawn(move || read(&mut out));
        let stderr = scope.spawn(move || read(&mut err));
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if started.elapsed() > HANGS_AFTER => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    break None;
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        Some(Output { status: status?, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() })
    })
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(128)
}

fn updates() -> bool {
    std::env::var_os("UPDATE_KUBESEAL").is_some()
}

fn difference(case: &Case, expected: &str, seen: &str) -> String {
    let diff = similar::TextDiff::from_lines(expected, seen).unified_diff().header("expected", "seen").to_string();
    format!("{} ({})\n{diff}", case.name(), case.args.join(" "))
}

#[test]
fn the_original_still_answers_as_recorded() {
    let keys = keyring();
    let program = tools::tools().kubeseal();
    let mut differing = Vec::new();
    for case in Case::all() {
        let recorded = case.recorded("answer").unwrap_or_default();
        // Waiting for it to hang once more costs a processor for a while.
        if recorded == "hangs\n" && !updates() {
            continue;
        }
        let seen = case.run(&program, &keys);
        if updates() {
            fs::write(case.folder.join("answer"), seen).unwrap();
        } else if seen != recorded {
            differing.push(difference(&case, &recorded, &seen));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn the_drop_in_answers_like_the_original_or_says_why_not() {
    let keys = keyring();
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("kubeseal");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kubectl-gitops"), &program).unwrap();
    let mut differing = Vec::new();
    let cases = Case::all();
    assert!(cases.len() >= 100, "only {} cases", cases.len());
    for case in cases {
        let answer = case.recorded("answer").unwrap_or_default();
        let ours = case.recorded("ours");
        let (why, expected) = match ours.as_deref().and_then(|text| text.split_once('\n')) {
            Some((why, expected)) => (Some(why.to_owned()), expected.to_owned()),
            None => (None, answer.clone()),
        };
        let seen = case.run(&program, &keys);
        let said = seen.split_once("--- stderr").map_or("", |(_, said)| said.split("\n--- ").next().unwrap());
        assert!(!said.contains("s3cr3t") && !said.contains("czNjcjN0"), "{}: plaintext in a message", case.name());
        if updates() {
            let file = case.folder.join("ours");
            if seen == answer {
                let _ = fs::remove_file(file);
            } else {
                fs::write(file, format!("{}\n{seen}", why.as_deref().unwrap_or("why:"))).unwrap();
            }
            continue;
        }
        if seen != expected {
            differing.push(difference(&case, &expected, &seen));
        }
        match why.as_deref().map(|why| why.strip_prefix("why: ")) {
            None => {}
            Some(Some(why)) if why.len() > 10 => assert_ne!(expected, answer, "{}: no difference, so no `ours`", case.name()),
            Some(_) => panic!("{}: the first line of `ours` must be `why: ...`", case.name()),
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
