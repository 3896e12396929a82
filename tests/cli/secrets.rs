//! What the commands about secrets do to files and repositories. No run may print a value.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use kubectl_gitops::resource::yaml;
use kubectl_gitops::sealing::{decode_base64, encode_base64};
use serde_json::{Value, json};

const MARKER: &str = "marker-secret";
const IDENTITY: &str = "tests/fixtures/keys/test-only-identity.txt";
const BACKUP: &str = "tests/fixtures/keys/test-only-backup.age";

fn fixture(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
}

fn key(name: &str) -> String {
    fixture(&format!("tests/fixtures/sealing/keys/test-only-{name}"))
}

struct Answer {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Answer {
    #[track_caller]
    fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }

    fn report(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// A folder in which the program runs without a cluster.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn has(&self, name: &str) -> bool {
        self.0.path().join(name).exists()
    }

    /// Runs the program and lets nothing pass that shows a value.
    fn run(&self, args: &[&str], stdin: &[u8]) -> Answer {
        let answer = self.open(args, stdin);
        assert!(!answer.stdout.contains(MARKER) && !answer.stderr.contains(MARKER), "a value was printed by {args:?}");
        answer
    }

    /// The same for `unseal`, which is there to print values.
    fn open(&self, args: &[&str], stdin: &[u8]) -> Answer {
        let mut program = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"));
        program.env_clear().env("HOME", self.0.path()).env("PATH", std::env::var_os("PATH").unwrap()).current_dir(self.0.path());
        program.env("GITOPS_NOW", "2026-11-25T12:00:00Z");
        program.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let stdin = stdin.to_vec();
        // A large answer would fill the pipe while the input is still being written.
        let writer = std::thread::spawn(move || input.write_all(&stdin));
        let output = child.wait_with_output().unwrap();
        let _ = writer.join().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Answer { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    fn git(&self, args: &[&str]) -> String {
        let mut git = Command::new("git");
        git.arg("-C").arg(self.0.path()).args(["-c", "user.name=t", "-c", "user.email=t@localhost"]).args(args);
        let output = git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null").output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn commit(&self) {
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "-m", "x"]);
    }
}

fn secret(name: &str, values: &[(&str, &str)]) -> String {
    let values: String = values.iter().map(|(key, value)| format!("  {key}: {value}\n")).collect();
    format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: web\nstringData:\n{values}")
}

fn differing(one: &str, other: &str) -> usize {
    one.lines().zip(other.lines()).filter(|(a, b)| a != b).count()
}

#[test]
fn sealing_a_tree_again_changes_only_what_changed() {
    let place = Place::new();
    let (certificate, backup) = (key("new.crt"), key("new.key"));
    let seal = ["seal", "-R", ".", "--cert", &certificate];
    let compare = [&seal[..], &["--key", &backup]].concat();
    place.write("secrets/db.yaml", &secret("db", &[("password", MARKER), ("user", "app")]));
    place.run(&[&compare[..], &["--check"]].concat(), b"").ends(1);
    assert!(!place.has("secrets/db.sealed.yaml"), "a check writes nothing");
    place.run(&compare, b"").ends(0);
    let first = format!("# mine\n{}", place.read("secrets/db.sealed.yaml"));
    assert!(!first.contains(MARKER));
    place.write("secrets/db.sealed.yaml", &first);

    let again = place.run(&[&compare[..], &["--check"]].concat(), b"").ends(0);
    assert!(again.stderr.contains("unchanged secrets/db.sealed.yaml  0 keys changed, 2 kept"), "{}", again.stderr);
    place.run(&compare, b"").ends(0);
    assert_eq!(place.read("secrets/db.sealed.yaml"), first);

    place.write("secrets/db.yaml", &secret("db", &[("password", MARKER), ("user", "other")]));
    place.run(&[&compare[..], &["--check"]].concat(), b"").ends(1);
    let report = place.run(&[&compare[..], &["-o", "json"]].concat(), b"").ends(0).report();
    assert_eq!((report["kind"].as_str(), report["ok"].as_bool()), (Some("SealReport"), Some(true)));
    let expected = json!([{
        "in": "secrets/db.yaml", "out": "secrets/db.sealed.yaml", "namespace": "web", "name": "db", "scope": "strict",
        "keys": {"changed": ["user"], "kept": ["password"], "removed": []},
    }]);
    assert_eq!(report["files"], expected);
    assert_eq!(differing(&first, &place.read("secrets/db.sealed.yaml")), 1, "the line of `user`");

    let blind = place.run(&seal, b"").ends(0);
    assert!(blind.stderr.contains("sealed again without having changed"), "{}", blind.stderr);
    assert!(blind.stderr.contains("2 keys changed, 0 kept"), "{}", blind.stderr);
}

#[test]
fn another_folder_keeps_the_paths_and_no_file_is_written_twice() {
    let place = Place::new();
    let certificate = key("new.crt");
    for folder in ["repo/a", "repo/b"] {
        place.write(&format!("{folder}/db.yaml"), &secret("db", &[("password", MARKER)]));
    }
    place.run(&["seal", "-R", "repo", "--out-dir", "out", "--cert", &certificate], b"").ends(0);
    assert!(place.has("out/a/db.sealed.yaml") && place.has("out/b/db.sealed.yaml"));
    let files = ["seal", "-R", "repo/a/db.yaml", "repo/b/db.yaml", "--out-dir", "flat", "--cert", &certificate];
    let refused = place.run(&files, b"").ends(2);
    assert!(refused.stderr.contains("repo/a/db.yaml and repo/b/db.yaml would both be written to flat"), "{}", refused.stderr);
    assert!(!place.has("flat"));
}

#[test]
fn in_place_only_the_secrets_of_a_file_are_replaced() {
    let place = Place::new();
    let (certificate, backup) = (key("new.crt"), key("new.key"));
    let others = "# of the application\nkind: ConfigMap\nmetadata: {name: x} # kept\n";
    place.write("all.yaml", &format!("# ours\n{}---\n{others}", secret("db", &[("password", MARKER)])));
    place.run(&["seal", "--in-place", "all.yaml", "--cert", &certificate], b"").ends(0);
    let text = place.read("all.yaml");
    assert!(text.starts_with("# ours\n") && text.ends_with(&format!("---\n{others}")) && !text.contains(MARKER), "{text}");
    let opened = place.open(&["unseal", "all.yaml", "--key", &backup, "-o", "json"], b"").ends(0);
    assert_eq!(opened.report()["data"]["password"], encode_base64(MARKER.as_bytes()));
    let again = place.run(&["seal", "--in-place", "all.yaml", "--cert", &certificate], b"").ends(2);
    assert!(again.stderr.contains("there is no Secret in all.yaml"), "{}", again.stderr);
}

#[test]
fn all_leaves_other_objects_out_and_formats_are_chosen_as_for_kubeseal() {
    let place = Place::new();
    let certificate = key("new.crt");
    place.write("all.yaml", &format!("kind: ConfigMap\n---\n{}", secret("db", &[("password", MARKER)])));
    place.run(&["seal", "all.yaml", "--cert", &certificate], b"").ends(2);
    let sealed = place.run(&["seal", "--all", "all.yaml", "--cert", &certificate, "--format", "json"], b"").ends(0);
    assert_eq!(sealed.report()["kind"], "SealedSecret");
    assert_eq!(
        place.run(&["seal", "--all", "all.yaml", "--cert", &certificate, "-o", "json"], b"").ends(0).report()["kind"],
        "SealedSecret"
    );
}

#[test]
fn a_source_is_deleted_only_when_nothing_is_lost() {
    let place = Place::new();
    let certificate = key("new.crt");
    let plain = secret("db", &[("password", MARKER)]);
    place.write("mixed.yaml", &format!("kind: ConfigMap\n---\n{plain}"));
    let refused = place.run(&["seal", "-R", ".", "--delete-source", "--cert", &certificate], b"").ends(2);
    assert!(refused.stderr.contains("mixed.yaml holds other objects too"), "{}", refused.stderr);
    assert!(place.has("mixed.yaml") && !place.has("mixed.sealed.yaml"));
    place.write("db.yaml", &plain);
    place.run(&["seal", "db.yaml", "-w", "db.yaml", "--delete-source", "--cert", &certificate], b"").ends(2);
    assert_eq!(place.read("db.yaml"), plain);
    place.run(&["seal", "-w", "out.yaml", "--delete-source", "--cert", &certificate], plain.as_bytes()).ends(2);
    place.run(&["seal", "db.yaml", "-w", "out.yaml", "--delete-source", "--cert", &certificate], b"").ends(0);
    assert!(!place.has("db.yaml") && place.read("out.yaml").contains("kind: SealedSecret"));
}

#[test]
fn the_pinned_certificate_seals_without_a_cluster() {
    let place = Place::new();
    place.git(&["init", "--quiet"]);
    place.write(".gitops/cert.pem", &fs::read_to_string(key("new.crt")).unwrap());
    let sealed = place.run(&["seal"], secret("db", &[("password", MARKER)]).as_bytes()).ends(0);
    place.write("sealed.yaml", &sealed.stdout);
    place.run(&["verify", "sealed.yaml", "--key", &key("new.key")], b"").ends(0);
}

#[test]
fn merging_takes_labels_along() {
    let place = Place::new();
    let certificate = key("new.crt");
    let file = fs::read_to_string(fixture("tests/fixtures/sealing/strict/sealed.yaml")).unwrap();
    place.write("db.yaml", &format!("# mine\n{file}"));
    let input = format!("kind: Secret\nmetadata: {{name: x, labels: {{app: db}}}}\nstringData: {{added: {MARKER}}}\n");
    let args = ["seal", "--merge-into", "db.yaml", "--cert", &certificate, "-o", "json"];
    let report = place.run(&args, input.as_bytes()).ends(0).report();
    assert_eq!(report["files"][0]["keys"]["changed"], json!(["added"]));
    let merged = place.read("db.yaml");
    assert!(merged.starts_with("# mine\n") && !merged.contains(MARKER));
    assert_eq!(yaml::parse_one(&merged).unwrap()["spec"]["template"]["metadata"]["labels"], json!({"app": "db"}));
    place.run(&["verify", "db.yaml", "--key", &key("new.key")], b"").ends(0);
}

#[test]
fn resealing_commits_its_files_alone_and_refuses_uncommitted_work() {
    let place = Place::new();
    place.git(&["init", "--quiet"]);
    place.git(&["config", "user.name", "t"]);
    place.git(&["config", "user.email", "t@localhost"]);
    let old = fs::read_to_string(fixture("tests/fixtures/sealing/old-key-among-three/sealed.yaml")).unwrap();
    place.write("db.yaml", &old);
    place.write("other.txt", "1");
    place.commit();
    let (keys, certificate) = (format!("{},{}", key("new.key"), key("old.key")), key("new.crt"));
    let reseal = ["reseal", ".", "--key", &keys, "--cert", &certificate];
    place.write("db.yaml", &format!("# work\n{old}"));
    let refused = place.run(&reseal, b"").ends(2);
    assert!(refused.stderr.contains("db.yaml not committed"), "{}", refused.stderr);
    assert_eq!(place.read("db.yaml"), format!("# work\n{old}"));
    place.run(&[&reseal[..], &["--allow-dirty"]].concat(), b"").ends(0);
    assert_ne!(place.read("db.yaml"), format!("# work\n{old}"));

    place.git(&["checkout", "--quiet", "db.yaml"]);
    place.write("other.txt", "2");
    place.run(&[&reseal[..], &["--commit"]].concat(), b"").ends(0);
    assert_eq!(place.git(&["log", "--format=%s", "-1"]), "Reseal 1 SealedSecrets for the newest key\n");
    assert_eq!(place.git(&["show", "--name-only", "--format="]), "db.yaml\n");
    assert_eq!(place.git(&["status", "--porcelain"]), " M other.txt\n", "other work is left alone");
}

#[test]
fn verify_looks_at_what_is_staged_changed_or_was_ever_committed() {
    let place = Place::new();
    place.git(&["init", "--quiet", "-b", "main"]);
    place.write("readme.txt", "x");
    place.commit();
    place.write("readme.txt", "y");
    place.git(&["add", "."]);
    let nothing = place.run(&["verify", "--staged"], b"").ends(0);
    assert!(nothing.stderr.contains("nothing was verified") && !nothing.stdout.contains("nothing wrong"), "{}", nothing.stderr);
    place.write("map.yaml", "kind: ConfigMap\n");
    place.git(&["add", "."]);
    let nothing = place.run(&["verify", "--staged"], b"").ends(0);
    assert!(nothing.stderr.contains("nothing was verified"), "{}", nothing.stderr);
    place.commit();

    place.write("db.yaml", &secret("db", &[("password", MARKER)]));
    place.run(&["verify", "--staged"], b"").ends(0);
    place.git(&["add", "."]);
    // What counts is the index, not the work tree.
    place.write("db.yaml", "kind: ConfigMap\n");
    let found = place.run(&["verify", "--staged"], b"").ends(1);
    assert!(found.stdout.contains("db.yaml:1") && found.stdout.contains("plain-secret"), "{}", found.stdout);
    place.git(&["commit", "--quiet", "-m", "x"]);
    place.run(&["verify", "--diff", "HEAD~1...HEAD"], b"").ends(1);
    let nothing = place.run(&["verify", "--diff", "HEAD~2...HEAD~1"], b"").ends(0);
    assert!(nothing.stderr.contains("nothing was verified"), "{}", nothing.stderr);
    place.run(&["verify", "--diff", "HEAD...HEAD"], b"").ends(2);

    place.git(&["rm", "--quiet", "-f", "db.yaml"]);
    place.git(&["commit", "--quiet", "-m", "x"]);
    place.run(&["verify", "."], b"").ends(2);
    let found = place.run(&["verify", "--history"], b"").ends(1);
    assert!(found.stdout.contains(":db.yaml:1") && found.stdout.contains("plain-secret"), "{}", found.stdout);
}

#[test]
fn the_same_secret_sealed_in_two_folders_is_worth_a_warning() {
    let place = Place::new();
    let sealed = fs::read_to_string(fixture("tests/fixtures/sealing/strict/sealed.yaml")).unwrap();
    place.write("a/db.yaml", &sealed);
    place.write("b/db.yaml", &sealed);
    let warned = place.run(&["verify", ".", "--cert", &key("new.crt")], b"").ends(0);
    assert!(warned.stdout.contains("b/db.yaml:1") && warned.stdout.contains("sealed-twice"), "{}", warned.stdout);
    assert!(warned.stderr.contains("not provable with a certificate"), "{}", warned.stderr);
    place.run(&["verify", ".", "--strict"], b"").ends(1);
    let other = place.run(&["verify", "a", "--cert", &key("small.crt")], b"").ends(1);
    assert!(other.stdout.contains("other-key"), "{}", other.stdout);
}

#[test]
fn backups_that_do_not_open_say_why_and_nothing_is_written() {
    let place = Place::new();
    let sealed = fixture("tests/fixtures/sealing/strict/sealed.yaml");
    let whole = fs::read(fixture(BACKUP)).unwrap();
    fs::write(place.0.path().join("cut.age"), &whole[..whole.len() - 40]).unwrap();
    let identity = fixture(IDENTITY);
    let cut = place.open(&["unseal", &sealed, "--key", "cut.age", "-i", &identity, "--out", "out"], b"").ends(2);
    assert!(cut.stderr.starts_with("error: cut.age: "), "{}", cut.stderr);

    let lock = kubectl_gitops::keys::backup::Lock::Passphrase("right".to_owned().into());
    fs::write(place.0.path().join("locked.age"), kubectl_gitops::keys::backup::encrypt("kind: List\n", lock, false).unwrap())
        .unwrap();
    place.write("passphrase", "wrong\n");
    let wrong = ["unseal", &sealed, "--key", "locked.age", "--passphrase-file", "passphrase", "--out", "out"];
    let wrong = place.open(&wrong, b"").ends(2);
    assert!(wrong.stderr.contains("locked.age: ") && wrong.stderr.contains("passphrase"), "{}", wrong.stderr);
    assert!(!place.has("out"));

    // A certificate of another key: the private key still opens what it opened.
    let pem = |name: &str| encode_base64(&fs::read(key(name)).unwrap());
    let pair = json!({"tls.key": pem("new.key"), "tls.crt": pem("old.crt")});
    let metadata = json!({"name": "k", "labels": {"sealedsecrets.bitnami.com/sealed-secrets-key": "active"}});
    let list = json!({"kind": "List", "items": [{"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": pair}]});
    place.write("mismatched.json", &list.to_string());
    let opened = place.open(&["unseal", &sealed, "--key", "mismatched.json", "--out", "out"], b"").ends(0);
    assert!(opened.stderr.contains("do not belong together; only its private key is used"), "{}", opened.stderr);
    assert!(place.has("out/web.db.yaml"));
}

#[test]
fn one_bad_file_and_nothing_is_written() {
    let place = Place::new();
    let certificate = key("new.crt");
    place.write("repo/a.yaml", &secret("a", &[("password", MARKER)]));
    for (name, bad) in [
        ("syntax", format!("{}---\nkind: [\n", secret("b", &[("password", MARKER)]))),
        ("value", format!("kind: Secret\nmetadata: {{name: b, namespace: web}}\ndata: {{password: {MARKER}}}\n")),
        ("place", format!("kind: Secret\nmetadata: {{name: b}}\nstringData: {{password: {MARKER}}}\n")),
    ] {
        place.write("repo/b.yaml", &bad);
        for args in [&["-R", "repo"][..], &["-R", "repo", "--delete-source"], &["-R", "repo", "--in-place"]] {
            let refused = place.run(&[&["seal"], args, &["--cert", &certificate]].concat(), b"").ends(2);
            assert!(
                refused.stderr.contains("repo/b.yaml") || refused.stderr.contains("Secret \"b\""),
                "{name}: {}",
                refused.stderr
            );
            assert_eq!(place.read("repo/a.yaml"), secret("a", &[("password", MARKER)]), "{name}");
            assert_eq!(fs::read_dir(place.0.path().join("repo")).unwrap().count(), 2, "{name}");
        }
        place.write("out.yaml", "old");
        place.run(&["seal", "repo/a.yaml", "repo/b.yaml", "-w", "out.yaml", "--cert", &certificate], b"").ends(2);
        assert_eq!(place.read("out.yaml"), "old", "{name}");
    }
}

#[test]
fn templates_below_a_folder_are_left_out_and_named() {
    let place = Place::new();
    let certificate = key("new.crt");
    place.write("repo/db.yaml", &secret("db", &[("password", MARKER)]));
    place.write(
        "repo/chart/templates/db.yaml",
        "{{- if .Values.db }}\nkind: Secret\nstringData: {a: {{ .Values.a }}}\n{{- end }}\n",
    );
    let sealed = place.run(&["seal", "-R", "repo", "--cert", &certificate], b"").ends(0);
    assert!(sealed.stderr.contains("left out, as templates are no manifests: repo/chart/templates/db.yaml"), "{}", sealed.stderr);
    assert!(place.has("repo/db.sealed.yaml"));
    place.run(&["seal", "-R", "repo/chart/templates/db.yaml", "--cert", &certificate], b"").ends(2);
}

#[test]
fn line_ends_of_windows_stay_as_they_are() {
    let place = Place::new();
    let (keys, certificate) = (format!("{},{}", key("new.key"), key("old.key")), key("new.crt"));
    let crlf = |text: &str| text.replace('\n', "\r\n");
    let is_crlf = |text: &str| text.matches('\n').count() == text.matches("\r\n").count();
    let old = crlf(&fs::read_to_string(fixture("tests/fixtures/sealing/old-key-among-three/sealed.yaml")).unwrap());
    place.write("db.yaml", &old);
    place.run(&["verify", "db.yaml", "--key", &keys], b"").ends(0);
    place.run(&["reseal", "db.yaml", "--key", &keys, "--cert", &certificate], b"").ends(0);
    let resealed = place.read("db.yaml");
    assert!(is_crlf(&resealed) && differing(&old, &resealed) == 2, "{resealed}");
    place.run(&["seal", "--set", "password", "db.yaml", "--cert", &certificate], MARKER.as_bytes()).ends(0);
    let set = place.read("db.yaml");
    assert!(is_crlf(&set) && differing(&resealed, &set) == 1, "{set}");
    place.write("plain.yaml", &crlf(&secret("db", &[("password", MARKER)])));
    place.run(&["seal", "--in-place", "plain.yaml", "--cert", &certificate], b"").ends(0);
    assert!(is_crlf(&place.read("plain.yaml")));
    let opened = place.open(&["unseal", "plain.yaml", "--key", &key("new.key"), "-o", "json"], b"").ends(0);
    assert_eq!(opened.report()["data"]["password"], encode_base64(MARKER.as_bytes()), "no line end within the value");
}

#[test]
fn large_binary_and_very_many_values_come_back_as_they_were() {
    let place = Place::new();
    let (certificate, backup) = (key("small.crt"), key("small.key"));
    let large: Vec<u8> = (0..1_u32 << 20).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let mut data = serde_json::Map::new();
    data.insert("large".to_owned(), encode_base64(&large).into());
    data.insert("binary".to_owned(), encode_base64(&[0, 255, 10, 13, 0]).into());
    for at in 0..10_000 {
        data.insert(format!("key-{at}"), encode_base64(format!("value {at}").as_bytes()).into());
    }
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "web"}, "data": data});
    place.run(&["seal", "-w", "sealed.yaml", "--cert", &certificate], secret.to_string().as_bytes()).ends(0);
    let opened = place.open(&["unseal", "sealed.yaml", "--key", &backup, "-o", "json"], b"").ends(0).report();
    assert_eq!(decode_base64(opened["data"]["large"].as_str().unwrap()).unwrap(), large);
    assert!(opened["data"] == secret["data"], "some value is another one");
}
