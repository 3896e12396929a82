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

pub(super) fn renderer() -> Renderer {
    Renderer::new(Options { kustomize: Some(tool("kustomize")), helm: Some(tool("helm")), ..Options::default() })
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

async fn check(renderer: &Renderer, case: &Path) -> Result<(), String> {
    let cache = tempfile::tempdir().unwrap();
    let repo = GitRepo::new();
    repo.copy(&case.join("input")).commit("input");
    let tree = head(&repositories(cache.path()), &repo).await;
    let source = source(&std::fs::read_to_string(case.join("source.yaml")).unwrap());
    let answer = renderer.render(Request::new(&source, &tree, &app())).await;
    if case.join("expected.error").exists() {
        let Err(error) = answer else { return Err(format!("{}: no error", case.display())) };
        let text = advice::one_line(&error, &error).replace(tree.commit().as_str(), "$COMMIT");
        return compare(&case.join("expected.error"), &format!("{text}\n"), |expected| expected.trim_end() == text);
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
    let (program, runs) = (tools.path().join("kustomize"), tools.path().join("runs"));
    let script = format!(
        "#!/bin/sh\n[ $1 = version ] && echo v5 && exit\necho run >> {}\necho \"Error: in $2 and $HOME/kustomize-123$$$$\" >&2; exit 1\n",
        runs.display()
    );
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
    let counted = || std::fs::read_to_string(&runs).unwrap().lines().count();
    let first = render(&renderer).await;
    assert_eq!(first, "kustomize build failed: in app and ~/kustomize-*");
    let once = counted();
    assert_eq!(render(&renderer).await, first);
    assert_eq!(counted(), once, "the failure is remembered");
    assert_eq!(render(&Renderer::new(renderer.shared.options.clone())).await, first, "no name in it is random");
    assert_eq!(counted(), 2 * once);
    repo.write("app/cm.yaml", &format!("{CONFIG_MAP}data:\n  a: b\n")).commit("other inputs");
    render(&renderer).await;
    assert_eq!(counted(), 3 * once);
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

/// Over a history of arbitrary changes, an answer from memory is what a fresh render gives.
#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_answer_is_never_stale() {
    let cache = tempfile::tempdir().unwrap();
    let repositories = repositories(cache.path());
    let repo = GitRepo::new();
    let kustomization = |prefix: &str| format!("resources: [cm.yaml]\nnamePrefix: {prefix}-\n");
    repo.write("base/kustomization.yaml", &kustomization("b")).write("base/cm.yaml", CONFIG_MAP);
    repo.write("app/kustomization.yaml", "resources: [../base]\nconfigMapGenerator:\n- name: gen\n  files: [data.txt]\n")
        .write("app/data.txt", "x");
    repo.write("plain/one.yaml", CONFIG_MAP).write("plain/sub/two.yaml", CONFIG_MAP);
    let chart = |name: &str| format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n");
    let dependency = "dependencies: [{name: lib, version: 1.x, repository: 'file://../lib'}]\n";
    repo.write("chart/Chart.yaml", &format!("{}{dependency}", chart("web"))).write("lib/Chart.yaml", &chart("lib"));
    let template = format!("{CONFIG_MAP}data:\n  who: {{{{ .Values.who | quote }}}}\n");
    repo.write("chart/templates/cm.yaml", &template)
        .write("lib/templates/cm.yaml", CONFIG_MAP)
        .write("shared/v.yaml", "who: me\n");
    let renderer = renderer();
    let sources = [
        "path: chart",
        "path: chart\nhelm: {valueFiles: [/shared/*.yaml]}",
        "path: app",
        "path: plain",
        "path: plain\ndirectory: {recurse: true}",
        "path: app\nkustomize: {images: ['x:$ARGOCD_APP_NAME']}",
    ];
    let sources = sources.map(|text| source(&format!("repoURL: {}\n{text}\n", repo.url())));
    // A fixed sequence that looks arbitrary: every failure can be repeated.
    let mut state = 7_u32;
    for step in 0..16 {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let content = CONFIG_MAP.replace("cm", &format!("cm{}", state >> 28));
        match (state >> 16) % 10 {
            7 => repo.write("lib/templates/cm.yaml", &content),
            8 => repo.write("chart/values.yaml", &format!("who: chart{step}\n")),
            9 => repo.write(&format!("shared/v{}.yaml", state >> 31), &format!("who: shared{step}\n")),
            0 => repo.write("base/cm.yaml", &content),
            1 => repo.write("base/kustomization.yaml", &kustomization(&format!("p{step}"))),
            2 => repo.write("app/data.txt", &content),
            3 => repo.write("plain/one.yaml", &content),
            4 => repo.write("plain/sub/two.yaml", &content),
            5 => repo.write("plain/.argocd-source.yaml", &format!("directory: {{exclude: '*{}*'}}\n", state >> 31)),
            _ => repo.write("unrelated.txt", &content),
        };
        repo.commit("step");
        let tree = head(&repositories, &repo).await;
        let fresh = Renderer::new(renderer.shared.options.clone());
        for source in &sources {
            let app = app();
            let request = Request::new(source, &tree, &app);
            assert_eq!(renderer.render(request).await.unwrap(), fresh.render(request).await.unwrap(), "step {step}, {source:?}");
        }
    }
    assert!(renderer.counters().cache_hits >= 12, "{:?}", renderer.counters());
}
