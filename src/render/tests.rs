#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::*;
use crate::advice;
use crate::resource::Object;
use crate::resource::yaml;
use crate::source::testing::{GitRepo, head, repositories};
use crate::testing::tool;

fn fixtures(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/render").join(kind);
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

pub(super) fn app() -> AppIdentity {
    AppIdentity {
        app_name: "web".into(),
        instance_name: "web".into(),
        project: "default".into(),
        destination_namespace: "prod".into(),
        cluster: std::sync::Arc::new(Capabilities {
            version: "v1.33.2+k3s1".into(),
            api_versions: vec!["v1".into(), "policy/v1".into()],
        }),
    }
}

pub(super) fn options() -> Options {
    Options { kustomize: Some(tool("kustomize")), helm: Some(tool("helm")), ..Options::default() }
}

pub(super) fn renderer() -> Renderer {
    Renderer::new(options())
}

pub(super) fn source(text: &str) -> ApplicationSource {
    serde_json::from_value(yaml::parse_one(text).unwrap()).unwrap()
}

pub(super) fn values(rendered: &Rendered) -> Vec<Value> {
    rendered.objects.iter().map(Object::to_value).collect()
}

fn as_text(values: &[Value]) -> String {
    values.iter().map(yaml::to_yaml).collect::<Vec<_>>().join("---\n")
}

/// Compares an answer with a file. `UPDATE_FIXTURES=1` writes the file instead; look at the difference before you commit it.
fn compare(file: &Path, actual: &str, same: impl Fn(&str) -> bool) -> Result<(), String> {
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(file, actual).unwrap();
        return Ok(());
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    if same(&expected) { Ok(()) } else { Err(format!("{}\nexpected:\n{expected}\ngot:\n{actual}", file.display())) }
}

fn same_documents(expected: &str, actual: &[Value]) -> bool {
    yaml::parse_stream(expected)
        .is_ok_and(|documents| documents.into_iter().map(|document| document.value).eq(actual.iter().cloned()))
}

/// Settings of the case, if it has any.
fn tools(case: &Path) -> Tools {
    let text = std::fs::read_to_string(case.join("argocd-cm.yaml")).unwrap_or_default();
    let data = yaml::parse_one(&text).unwrap();
    Tools::from_config_map(&serde_json::from_value(data).unwrap_or_default())
}

/// What no answer and no error may hold.
const MARKER: &str = "MARKER-OF-THE-TOKEN";

/// Writes a file outside the repository, whose path takes the place of `@TOKEN@` in the input.
fn plant_token(repo: &GitRepo, folder: &Path) {
    let token = folder.join("token");
    std::fs::write(&token, MARKER).unwrap();
    for entry in std::fs::read_dir(repo.folder.path().join("app")).into_iter().flatten().flatten() {
        let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
        if text.contains("@TOKEN@") {
            std::fs::write(entry.path(), text.replace("@TOKEN@", token.to_str().unwrap())).unwrap();
        }
    }
}

async fn check(renderer: &Renderer, case: &Path) -> Result<(), String> {
    let (cache, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let repo = GitRepo::new();
    repo.copy(&case.join("input"));
    plant_token(&repo, outside.path());
    repo.commit("input");
    let renderer = &Renderer::new(Options { tools: tools(case), ..renderer.shared.options.clone() });
    let tree = head(&repositories(cache.path()), &repo).await;
    let source = source(&std::fs::read_to_string(case.join("source.yaml")).unwrap());
    let answer = renderer.render(Request::new(&source, &tree, &app())).await;
    if case.join("expected.error").exists() {
        let Err(error) = answer else { return Err(format!("{}: no error", case.display())) };
        let text = advice::one_line(&error, &error).replace(tree.commit().as_str(), "$COMMIT");
        let text = text.replace(outside.path().to_str().unwrap(), "$OUTSIDE");
        assert!(!text.contains(MARKER), "{}: {text}", case.display());
        // Behind dots stands what matters of a text that is longer or depends on the machine.
        let same = |expected: &str| match expected.trim_end().strip_prefix("... ") {
            Some(part) => text.contains(part),
            None => expected.trim_end() == text,
        };
        return compare(&case.join("expected.error"), &format!("{text}\n"), same);
    }
    let rendered = answer.map_err(|error| format!("{}: {error}", case.display()))?;
    let warnings = std::fs::read_to_string(case.join("expected.warnings")).ok();
    if let Some(expected) = warnings.filter(|expected| expected.trim_end() != rendered.warnings.join("\n")) {
        return Err(format!("{}: warnings {:?}, expected {expected}", case.display(), rendered.warnings));
    }
    let actual = values(&rendered);
    compare(&case.join("expected.yaml"), &as_text(&actual), |expected| same_documents(expected, &actual))
}

async fn check_all(kind: &str, at_least: usize) {
    let cases = fixtures(kind);
    assert!(cases.len() >= at_least, "only {} cases of {kind}", cases.len());
    let renderer = renderer();
    let mut wrong = Vec::new();
    for case in cases {
        wrong.extend(check(&renderer, &case).await.err());
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_render_as_expected() {
    check_all("directory", 25).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kustomizations_render_as_expected() {
    check_all("kustomize", 25).await;
}

/// Each is an attack on what the controller can read, run or spend; `docs/security.md` says what stopped it.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_sources_get_nothing() {
    check_all("hostile", 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_render_as_expected() {
    check_all("helm", 10).await;
}

/// The expectations are what Helm 3 and Helm 4 themselves make of the command line in `command`.
#[test]
fn helm_itself_gives_the_same_answers() {
    let mut checked = 0;
    for case in fixtures("helm").into_iter().filter(|case| case.join("command").exists()) {
        for helm in ["helm", "helm3"].map(tool) {
            let folder = tempfile::tempdir().unwrap();
            assert!(Command::new("cp").arg("-a").arg(case.join("input/.")).arg(folder.path()).status().unwrap().success());
            for line in std::fs::read_to_string(case.join("command")).unwrap().lines() {
                let run = Command::new(&helm).args(words(line)).current_dir(folder.path().join("app")).output().unwrap();
                assert!(run.status.success(), "{}: {}", case.display(), String::from_utf8_lossy(&run.stderr));
                if line.starts_with("template") {
                    let documents = yaml::parse_stream(&String::from_utf8(run.stdout).unwrap()).unwrap();
                    let actual: Vec<Value> =
                        documents.into_iter().map(|one| one.value).filter(|value| !value.is_null()).collect();
                    compare(&case.join("expected.yaml"), &as_text(&actual), |expected| same_documents(expected, &actual))
                        .unwrap();
                    checked += 1;
                }
            }
        }
    }
    assert!(checked >= 10, "only {checked} runs");
}

/// The expectations are what the real program makes of the same options: `edit` holds its commands, one a line, and
/// `kustomization.yaml` beside it what the original writes into the file itself.
#[test]
fn kustomize_itself_gives_the_same_answers() {
    let kustomize = tool("kustomize");
    let mut checked = 0;
    for case in fixtures("kustomize").into_iter().filter(|case| case.join("edit").exists()) {
        let folder = tempfile::tempdir().unwrap();
        assert!(Command::new("cp").arg("-a").arg(case.join("input/.")).arg(folder.path()).status().unwrap().success());
        let path = folder.path().join("app");
        if case.join("kustomization.yaml").exists() {
            std::fs::copy(case.join("kustomization.yaml"), path.join("kustomization.yaml")).unwrap();
        }
        let run = |arguments: &[String], folder: &Path| {
            let output =
                Command::new(&kustomize).args(arguments).current_dir(folder).env("ARGOCD_APP_NAME", "web").output().unwrap();
            assert!(output.status.success(), "{}: {}", case.display(), String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        for line in std::fs::read_to_string(case.join("edit")).unwrap().lines() {
            let arguments: Vec<String> = ["edit".to_owned()].into_iter().chain(words(line)).collect();
            run(&arguments, &path);
        }
        let output = run(&["build".into(), "app".into()], folder.path());
        let actual: Vec<Value> = yaml::parse_stream(&output).unwrap().into_iter().map(|document| document.value).collect();
        compare(&case.join("expected.yaml"), &as_text(&actual), |expected| same_documents(expected, &actual)).unwrap();
        checked += 1;
    }
    assert!(checked >= 20, "only {checked} cases");
}

/// Splits at spaces; double quotes hold words together.
fn words(line: &str) -> impl Iterator<Item = String> + '_ {
    let mut quoted = false;
    line.split(move |c: char| {
        quoted ^= c == '"';
        c == '"' || (c == ' ' && !quoted)
    })
    .filter(|word| !word.is_empty())
    .map(ToOwned::to_owned)
}

const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: cm\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_touches_nothing_the_app_reads_renders_nothing() {
    let cache = tempfile::tempdir().unwrap();
    let repositories = repositories(cache.path());
    let repo = GitRepo::new();
    repo.write("base/kustomization.yaml", "resources: [cm.yaml]\n").write("base/cm.yaml", CONFIG_MAP);
    repo.write("app/kustomization.yaml", "resources: [../base]\nnamePrefix: a-\n").write("plain/cm.yaml", CONFIG_MAP);
    repo.commit("first");
    let renderer = renderer();
    let render = async |path: &str| {
        let tree = head(&repositories, &repo).await;
        let source = source(&format!("repoURL: {}\npath: {path}\n", repo.url()));
        renderer.render(Request::new(&source, &tree, &app())).await.unwrap()
    };
    let counters = |renders, cache_hits| Counters { renders, cache_hits };
    let first = render("app").await;
    render("plain").await;
    assert_eq!(renderer.counters(), counters(2, 0));

    repo.write("unrelated.txt", "x\n").write("app/README.md", "not read by kustomize\n").commit("unrelated");
    assert_eq!(render("app").await, first);
    render("plain").await;
    assert_eq!(renderer.counters(), counters(2, 2));

    repo.write("base/cm.yaml", &format!("{CONFIG_MAP}data:\n  a: b\n")).commit("the base, outside the folder of the app");
    let changed = render("app").await;
    assert_ne!(values(&changed), values(&first));
    render("plain").await;
    assert_eq!(renderer.counters(), counters(3, 3));

    repo.write("base/kustomization.yml", "").commit("a second kustomization makes the build fail");
    let tree = head(&repositories, &repo).await;
    let source = source(&format!("repoURL: {}\npath: app\n", repo.url()));
    assert!(renderer.render(Request::new(&source, &tree, &app())).await.is_err());

    repo.git(&["revert", "--no-edit", "HEAD"]);
    assert_eq!(render("app").await, changed);
    assert_eq!(renderer.counters(), counters(4, 4), "the old answer is still known");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_one_app_do_not_reach_another() {
    let cache = tempfile::tempdir().unwrap();
    let repo = GitRepo::new();
    repo.write("app/kustomization.yaml", "resources: [cm.yaml]\n").write("app/cm.yaml", CONFIG_MAP).commit("first");
    let tree = head(&repositories(cache.path()), &repo).await;
    let renderer = renderer();
    let name = async |options: &str| {
        let source = source(&format!("repoURL: {}\npath: app\n{options}", repo.url()));
        renderer.render(Request::new(&source, &tree, &app())).await.unwrap().objects[0].name().to_owned()
    };
    assert_eq!(name("kustomize: {namePrefix: a-}\n").await, "a-cm");
    assert_eq!(name("kustomize: {nameSuffix: -b}\n").await, "cm-b");
    assert_eq!(name("").await, "cm");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fails_is_not_run_in_every_reconcile_and_says_the_same() {
    use std::os::unix::fs::PermissionsExt;
    let (cache, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = tools.path().join("kustomize");
    let script =
        "#!/bin/sh\n[ $1 = version ] && echo v5 && exit\necho \"Error: in $2 and $HOME/kustomize-123$$$$\" >&2; exit 1\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let repo = GitRepo::new();
    repo.write("app/kustomization.yaml", "resources: [cm.yaml]\n").write("app/cm.yaml", CONFIG_MAP).commit("first");
    let repositories = repositories(cache.path());
    let renderer = Renderer::new(Options { kustomize: Some(program), ..Options::default() });
    let render = async |renderer: &Renderer| {
        let tree = head(&repositories, &repo).await;
        let source = source(&format!("repoURL: {}\npath: app\n", repo.url()));
        renderer.render(Request::new(&source, &tree, &app())).await.unwrap_err().to_string()
    };
    let counted = |renderer: &Renderer| renderer.counters().renders;
    let first = render(&renderer).await;
    assert_eq!(first, "kustomize build failed: in app and ~/kustomize-*");
    assert_eq!(render(&renderer).await, first);
    assert_eq!(counted(&renderer), 1, "the failure is remembered");
    assert_eq!(render(&Renderer::new(renderer.shared.options.clone())).await, first, "no name in it is random");
    repo.write("app/cm.yaml", &format!("{CONFIG_MAP}data:\n  a: b\n")).commit("other inputs");
    render(&renderer).await;
    assert_eq!(counted(&renderer), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_serves_when_kustomize_is_absent() {
    let cache = tempfile::tempdir().unwrap();
    let repo = GitRepo::new();
    repo.write("app/kustomization.yaml", "resources: [cm.yaml]\n").write("app/cm.yaml", CONFIG_MAP).commit("first");
    let tree = head(&repositories(cache.path()), &repo).await;
    let renderer = Renderer::new(Options { kustomize: Some(tool("kubectl")), ..Options::default() });
    let source = source(&format!("repoURL: {}\npath: app\nkustomize: {{namePrefix: a-}}\n", repo.url()));
    let rendered = renderer.render(Request::new(&source, &tree, &app())).await.unwrap();
    assert_eq!(rendered.objects[0].name(), "a-cm");
    assert_eq!(rendered.source_type, SourceType::Kustomize);
}

/// A change of the history below: what it writes, and which of the sources read that.
type Change = (&'static str, fn(u32) -> String, &'static [usize]);

const HISTORY_SOURCES: [&str; 8] = [
    "path: app",
    "path: plain",
    "path: plain\ndirectory: {recurse: true}",
    "path: app\nkustomize: {images: ['x:$ARGOCD_APP_NAME']}",
    "path: other\nkustomize: {components: [../component], namePrefix: o-}",
    "path: plain\ndirectory: {include: 'one*'}",
    "path: chart",
    "path: chart\nhelm: {valueFiles: [/shared/v.yaml]}",
];

const CHANGES: [Change; 16] = [
    ("base/cm.yaml", |n| CONFIG_MAP.replace("cm", &format!("cm{}", n % 5)), &[0, 3, 4]),
    ("base/kustomization.yaml", |n| format!("resources: [cm.yaml]\nnamePrefix: p{}-\n", n % 3), &[0, 3, 4]),
    ("base/README.md", |n| format!("{n}\n"), &[]),
    ("app/data.txt", |n| format!("{}\n", n % 3), &[0, 3]),
    ("app/notes.txt", |n| format!("{n}\n"), &[]),
    ("component/patch.yaml", |n| format!("- op: add\n  path: /data\n  value: {{a: b{}}}\n", n % 3), &[4]),
    ("component/unused.yaml", |n| format!("a: {n}\n"), &[]),
    ("plain/one.yaml", |n| CONFIG_MAP.replace("cm", &format!("one{}", n % 4)), &[1, 2, 5]),
    ("plain/two.yaml", |n| CONFIG_MAP.replace("cm", &format!("two{}", n % 4)), &[1, 2]),
    ("plain/sub/three.yaml", |n| CONFIG_MAP.replace("cm", &format!("three{}", n % 4)), &[2]),
    ("plain/notes.txt", |n| format!("{n}\n"), &[2]),
    ("lib/templates/cm.yaml", |n| CONFIG_MAP.replace("cm", &format!("lib{}", n % 4)), &[6, 7]),
    ("chart/values.yaml", |n| format!("who: chart{}\n", n % 4), &[6, 7]),
    ("shared/v.yaml", |n| format!("who: shared{}\n", n % 4), &[7]),
    ("shared/w.yaml", |n| format!("who: nobody{n}\n"), &[]),
    ("unrelated/cm.yaml", |n| CONFIG_MAP.replace("cm", &format!("u{n}")), &[]),
];

/// Over histories of arbitrary changes, a remembered answer is what a fresh render gives, and a commit that touches nothing a
/// source reads renders nothing. Now and then the process starts again and only the disk remembers, or loses that as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_answer_is_never_stale() {
    for seed in [7_u32, 2026] {
        let (cache, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let repositories = repositories(cache.path());
        let repo = GitRepo::new();
        for (path, content, _) in CHANGES {
            repo.write(path, &content(0));
        }
        repo.write("app/kustomization.yaml", "resources: [../base]\nconfigMapGenerator:\n- name: gen\n  files: [data.txt]\n");
        repo.write("other/kustomization.yaml", "resources: [../base]\n");
        let chart = |name: &str| format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n");
        let dependency = "dependencies: [{name: lib, version: 1.x, repository: 'file://../lib'}]\n";
        repo.write("chart/Chart.yaml", &format!("{}{dependency}", chart("web"))).write("lib/Chart.yaml", &chart("lib"));
        repo.write("chart/templates/cm.yaml", &format!("{CONFIG_MAP}data:\n  who: {{{{ .Values.who | quote }}}}\n"));
        let component = "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\n\
                         patches:\n- path: patch.yaml\n  target: {kind: ConfigMap}\n";
        repo.write("component/kustomization.yaml", component).commit("first");
        let options = Options { disk_cache: Some(disk.path().join("manifests")), ..options() };
        let sources = HISTORY_SOURCES.map(|text| source(&format!("repoURL: {}\n{text}\n", repo.url())));
        let (mut renderer, mut state) = (Renderer::new(options.clone()), seed);
        let (mut remembered, mut disk_is_lost) = (0, false);
        for step in 0..10 {
            // A fixed sequence that looks arbitrary: every failure can be repeated.
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            let (path, content, readers) = CHANGES[(state >> 16) as usize % CHANGES.len()];
            repo.write(path, &content(state >> 8)).commit("step");
            let tree = head(&repositories, &repo).await;
            let mut all_is_lost = step == 0;
            match state >> 30 {
                0 => {
                    renderer = Renderer::new(options.clone());
                    all_is_lost |= std::mem::take(&mut disk_is_lost);
                }
                1 => {
                    std::fs::remove_dir_all(disk.path().join("manifests")).unwrap_or_default();
                    disk_is_lost = true;
                }
                _ => {}
            }
            let fresh = Renderer::new(Options { disk_cache: None, ..options.clone() });
            for (index, source) in sources.iter().enumerate() {
                let app = app();
                let request = Request::new(source, &tree, &app);
                let explained = renderer.explain(request).await.unwrap();
                assert_eq!(explained.rendered, fresh.render(request).await.unwrap(), "{seed}, step {step}: {path}, {source:?}");
                let changed = all_is_lost || readers.contains(&index);
                remembered += usize::from(explained.origin != Origin::Rendered);
                assert!(changed || explained.origin != Origin::Rendered, "{seed}, step {step}: {path} is nothing to {source:?}");
            }
        }
        assert!(remembered >= 30, "{remembered}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_version_of_kustomize_builds() {
    let cache = tempfile::tempdir().unwrap();
    let repo = GitRepo::new();
    repo.write("app/kustomization.yaml", "resources: [cm.yaml]\n").write("app/cm.yaml", CONFIG_MAP).commit("first");
    let tree = head(&repositories(cache.path()), &repo).await;
    let version = KustomizeVersion { path: tool("kubectl"), build_options: Vec::new() };
    let tools = Tools { kustomize_versions: [("of-kubectl".to_owned(), version)].into(), ..Tools::default() };
    let renderer = Renderer::new(Options { tools, ..options() });
    let with = async |options: &str| {
        let source = source(&format!("repoURL: {}\npath: app\n{options}", repo.url()));
        renderer.explain(Request::new(&source, &tree, &app())).await.unwrap()
    };
    let (usual, registered) = (with("").await, with("kustomize: {version: of-kubectl}\n").await);
    assert_eq!(usual.rendered.objects, registered.rendered.objects);
    assert!(usual.renderer.starts_with("kustomize ") && registered.renderer.starts_with("kubectl "), "{}", registered.renderer);
    assert_ne!(usual.key, registered.key);
}

/// A base on another machine is read by kustomize itself; nobody else gets the network.
#[tokio::test(flavor = "multi_thread")]
async fn remote_parts_are_read_when_the_kustomization_declares_them() {
    let (address, served) = serve_once(format!("{CONFIG_MAP}data:\n  from: afar\n"));
    let (cache, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let repo = GitRepo::new();
    repo.write("app/kustomization.yaml", &format!("resources: [\"http://{address}/cm.yaml\"]\n")).commit("first");
    let tree = head(&repositories(cache.path()), &repo).await;
    let renderer = Renderer::new(Options { disk_cache: Some(disk.path().join("manifests")), ..options() });
    let source = source(&format!("repoURL: {}\npath: app\n", repo.url()));
    let rendered = renderer.render(Request::new(&source, &tree, &app())).await.unwrap();
    assert_eq!(rendered.objects[0].get(&["data", "from"]), Some(&Value::from("afar")));
    served.join().unwrap();
    assert!(!disk.path().join("manifests").exists(), "nothing tells when the other machine changes, so it is not kept on disk");
}

/// Serves one document over HTTP, once.
fn serve_once(body: String) -> (std::net::SocketAddr, std::thread::JoinHandle<()>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = connection.read(&mut request).unwrap();
        write!(connection, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).unwrap();
    };
    (address, std::thread::spawn(serve))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_of_fifty_megabytes_is_refused_without_being_read() {
    let cache = tempfile::tempdir().unwrap();
    let repo = GitRepo::new();
    let file = repo.write("app/cm.yaml", CONFIG_MAP).folder.path().join("app/big.yaml");
    std::fs::File::create(file).unwrap().set_len(50_000_000).unwrap();
    repo.commit("big");
    let tree = head(&repositories(cache.path()), &repo).await;
    let render = async |options: &str| {
        let source = source(&format!("repoURL: {}\npath: app\n{options}", repo.url()));
        renderer().render(Request::new(&source, &tree, &app())).await
    };
    assert!(matches!(render("").await, Err(RenderError::TooLarge { .. })));
    assert_eq!(render("directory: {exclude: big.yaml}\n").await.unwrap().objects.len(), 1);
}

/// The files are there without being written one by one.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_files_are_walked() {
    use std::io::Write;
    let cache = tempfile::tempdir().unwrap();
    let repo = GitRepo::new();
    let mut import = Command::new("git")
        .args(["fast-import", "--quiet"])
        .current_dir(repo.folder.path())
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = std::io::BufWriter::new(import.stdin.take().unwrap());
    write!(input, "blob\nmark :1\ndata {}\n{CONFIG_MAP}\n", CONFIG_MAP.len()).unwrap();
    write!(input, "commit refs/heads/main\ncommitter t <t@example.com> 0 +0000\ndata 1\nx\n").unwrap();
    for number in 0..100_000 {
        writeln!(input, "M 100644 :1 app/{:03}/{number}.yaml", number % 100).unwrap();
    }
    drop(input);
    assert!(import.wait().unwrap().success());
    let tree = head(&repositories(cache.path()), &repo).await;
    let text = format!("repoURL: {}\npath: app\ndirectory: {{recurse: true, include: '042/99[0-9]*'}}\n", repo.url());
    let rendered = renderer().render(Request::new(&source(&text), &tree, &app())).await.unwrap();
    assert_eq!(rendered.objects.len(), 11);
}
