#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Command;

use super::super::tests::{app, renderer, source, values};
use super::super::{Counters, RenderError, Renderer, Request};
use super::{Reference, References};
use crate::source::testing::packages::{CHART_LAYER, ChartServer, RegistryServer};
use crate::source::testing::{GitRepo, Packed, head, pack, repositories};
use crate::source::{Freshness, Repositories, SourceTree};
use crate::testing::tool;

const CHART: &str = "apiVersion: v2\nname: web\nversion: 1.0.0\n";
const VALUES: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {values: {{ omit .Values \"global\" | toJson | quote }}}\n";

/// A chart that shows its values.
fn chart(repo: &GitRepo, folder: &str) {
    repo.write(&format!("{folder}/Chart.yaml"), CHART).write(&format!("{folder}/templates/cm.yaml"), VALUES);
}

fn reference(repo: &GitRepo, tree: &SourceTree) -> Reference {
    Reference { url: repo.url(), is_git: true, tree: Ok(tree.clone()) }
}

fn shown(rendered: &super::super::Rendered) -> String {
    values(rendered)[0]["data"]["values"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn value_files_of_other_sources_are_read_from_their_root_and_are_inputs() {
    let cache = tempfile::tempdir().unwrap();
    let (charts, config) = (GitRepo::new(), GitRepo::new());
    chart(&charts, "app");
    charts.write("app/own.yaml", "own: true\nwho: own\n").commit("chart");
    config
        .write("prod/a.yaml", "who: a\na: 1\n")
        .write("prod/b.yaml", "who: b\n")
        .write("note.txt", "a note")
        .link("link.yaml", "prod/b.yaml");
    config.commit("values");
    let repositories = repositories(cache.path());
    let (tree, renderer) = (head(&repositories, &charts).await, renderer());
    let render = async |helm: &str| {
        let source = source(&format!("repoURL: {}\npath: app\nhelm: {helm}\n", charts.url()));
        let references = References::from([("values".to_owned(), reference(&config, &head(&repositories, &config).await))]);
        let app = app();
        renderer.render(Request { references: &references, ..Request::new(&source, &tree, &app) }).await
    };
    let text = async |helm: &str| shown(&render(helm).await.unwrap());
    let files = "{valueFiles: [$values/prod/a.yaml, own.yaml, $values/link.yaml], fileParameters: [{name: note, path: $values/note.txt}]}";
    assert_eq!(text(files).await, r#"{"a":1,"note":"a note","own":true,"who":"b"}"#);
    assert_eq!(text("{valueFiles: ['$values/prod/*.yaml']}").await, r#"{"a":1,"who":"b"}"#);
    assert_eq!(renderer.counters(), Counters { renders: 2, cache_hits: 0 });

    config.write("unrelated.yaml", "x: 1\n").commit("unrelated");
    text(files).await;
    assert_eq!(renderer.counters(), Counters { renders: 2, cache_hits: 1 });
    config.write("prod/b.yaml", "who: changed\n").commit("behind the link");
    assert_eq!(text(files).await, r#"{"a":1,"note":"a note","own":true,"who":"changed"}"#);
    config.write("prod/c.yaml", "who: new\n").commit("the glob matches one more");
    assert_eq!(text("{valueFiles: ['$values/prod/*.yaml']}").await, r#"{"a":1,"who":"new"}"#);

    let error = async |helm: &str| render(helm).await.unwrap_err().to_string();
    assert_eq!(
        error("{valueFiles: [$other/a.yaml]}").await,
        "spec.source.helm.valueFiles: source referenced \"$other\", which is not one of the available sources ($values)"
    );
    assert_eq!(
        error("{valueFiles: [$values/../../etc/passwd]}").await,
        "spec.source.helm.valueFiles: `$values/../../etc/passwd` leads out of the repository"
    );
    assert_eq!(
        error("{valueFiles: [$values/absent.yaml]}").await,
        "spec.source.helm.valueFiles: there is no file `$values/absent.yaml` in the repository"
    );
    assert_eq!(text("{valueFiles: [$values/absent.yaml, '$values/none*.yaml'], ignoreMissingValueFiles: true}").await, "{}");
}

#[tokio::test(flavor = "multi_thread")]
async fn references_that_cannot_be_followed_say_why() {
    let (cache, repo) = (tempfile::tempdir().unwrap(), GitRepo::new());
    chart(&repo, "app");
    repo.write("v.yaml", "a: 1\n").commit("first");
    let repositories = repositories(cache.path());
    let old = head(&repositories, &repo).await;
    repo.write("v.yaml", "a: 2\n").commit("second");
    let tree = head(&repositories, &repo).await;
    let source = source(&format!("repoURL: {}\npath: app\nhelm: {{valueFiles: [$values/v.yaml]}}\n", repo.url()));
    let render = async |references: &[(&str, Reference)]| {
        let references: References = references.iter().map(|(name, one)| ((*name).to_owned(), one.clone())).collect();
        let app = app();
        renderer().render(Request { references: &references, ..Request::new(&source, &tree, &app) }).await
    };
    let error = async |references: &[(&str, Reference)]| render(references).await.unwrap_err().to_string();
    assert!(error(&[]).await.ends_with("source referenced \"$values\", but no source has a 'ref' field defined"));
    let text = error(&[("values", reference(&repo, &old))]).await;
    assert!(text.contains("cannot reference multiple revisions for the same repository"), "{text}");
    let chart = Reference { is_git: false, ..reference(&repo, &tree) };
    assert!(error(&[("values", chart)]).await.contains("only Git can be referred to"));
    assert_eq!(shown(&render(&[("values", reference(&repo, &tree))]).await.unwrap()), r#"{"a":2}"#);
}

fn package(name: &str, version: &str) -> Vec<u8> {
    let chart = format!("apiVersion: v2\nname: {name}\nversion: {version}\n");
    let template = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{version: {version}}}\n");
    let (first, second) = (format!("{name}/Chart.yaml"), format!("{name}/templates/cm.yaml"));
    pack(&[Packed::file(&first, &chart), Packed::file(&second, &template)])
}

async fn versions(renderer: &Renderer, repositories: &Repositories, repo: &GitRepo) -> Result<String, RenderError> {
    let tree = head(repositories, repo).await;
    let source = source(&format!("repoURL: {}\npath: app\n", repo.url()));
    let app = app();
    let request = Request { charts: Some(repositories.charts()), ..Request::new(&source, &tree, &app) };
    let rendered = renderer.render(request).await?;
    let mut found: Vec<String> = values(&rendered)
        .iter()
        .map(|one| format!("{}={}", one["metadata"]["name"], one["data"]["version"]).replace('"', ""))
        .collect();
    found.sort();
    Ok(found.join(" "))
}

#[tokio::test(flavor = "multi_thread")]
async fn dependencies_from_elsewhere_are_fetched_by_us_and_not_by_helm() {
    let (cache, server, registry, repo) =
        (tempfile::tempdir().unwrap(), ChartServer::start(), RegistryServer::start(), GitRepo::new());
    for version in ["1.0.0", "1.2.0", "2.0.0"] {
        server.publish("db", version, package("db", version));
    }
    registry.push("org/queue", "0.1.0", &[(CHART_LAYER, package("queue", "0.1.0"))]);
    let dependencies = format!(
        "dependencies:\n- {{name: db, version: 1.x, repository: '{}'}}\n- {{name: queue, version: 0.1.0, repository: 'oci://{}/org'}}\n\
         - {{name: lib, version: 1.0.0, repository: 'file://../lib'}}\n",
        server.url(),
        registry.address
    );
    repo.write("app/Chart.yaml", &format!("{CHART}{dependencies}"))
        .write("lib/Chart.yaml", "apiVersion: v2\nname: lib\nversion: 1.0.0\n");
    repo.write("lib/templates/cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: lib}\ndata: {version: file}\n")
        .commit("first");
    let (repositories, renderer) = (repositories(cache.path()), renderer());
    assert_eq!(versions(&renderer, &repositories, &repo).await.unwrap(), "db=1.2.0 lib=file queue=0.1.0");
    assert_eq!(versions(&renderer, &repositories, &repo).await.unwrap(), "db=1.2.0 lib=file queue=0.1.0");
    assert_eq!(renderer.counters(), Counters { renders: 1, cache_hits: 1 });
    assert!(server.requests().iter().all(|request| request.header("user-agent").starts_with("kubectl-gitops/")));

    // A newer version is another answer as soon as the repository was asked again.
    server.publish("db", "1.3.0", package("db", "1.3.0"));
    let origin = repositories.charts().origin_of_dependency(&server.url(), "db", "default").unwrap();
    repositories.charts().resolve(&origin, "1.x", Freshness::Now).await.unwrap();
    assert_eq!(versions(&renderer, &repositories, &repo).await.unwrap(), "db=1.3.0 lib=file queue=0.1.0");

    // The lock file pins it.
    let lock = format!(
        "dependencies:\n- {{name: db, version: 1.0.0, repository: '{}'}}\n- {{name: queue, version: 0.1.0, repository: x}}\n- {{name: lib, version: 1.0.0, repository: y}}\n",
        server.url()
    );
    repo.write("app/Chart.lock", &lock).commit("locked");
    assert_eq!(versions(&renderer, &repositories, &repo).await.unwrap(), "db=1.0.0 lib=file queue=0.1.0");

    // What the chart holds already is not fetched.
    std::fs::create_dir_all(repo.folder.path().join("app/charts")).unwrap();
    std::fs::write(repo.folder.path().join("app/charts/db-1.0.0.tgz"), package("db", "1.0.0")).unwrap();
    std::fs::write(repo.folder.path().join("app/charts/queue-0.1.0.tgz"), package("queue", "0.1.0")).unwrap();
    repo.commit("vendored");
    let before = server.requests().len();
    server.set_down(true);
    assert_eq!(versions(&renderer, &repositories, &repo).await.unwrap(), "db=1.0.0 lib=file queue=0.1.0");
    assert_eq!(server.requests().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dependency_that_cannot_be_fetched_is_named() {
    let (cache, server, repo) = (tempfile::tempdir().unwrap(), ChartServer::start(), GitRepo::new());
    server.publish("other", "1.0.0", package("other", "1.0.0"));
    chart(&repo, "app");
    repo.write("app/Chart.yaml", &format!("{CHART}dependencies: [{{name: db, version: 1.x, repository: '{}'}}]\n", server.url()));
    repo.commit("first");
    let (repositories, renderer) = (repositories(cache.path()), renderer());
    let error = versions(&renderer, &repositories, &repo).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the dependency `db` of the chart cannot be fetched: {} has no chart `db`", server.url())
    );
    let (tree, app) = (head(&repositories, &repo).await, app());
    let source = source(&format!("repoURL: {}\npath: app\n", repo.url()));
    let offline = renderer.render(Request::new(&source, &tree, &app)).await.unwrap_err();
    assert!(matches!(offline, RenderError::NotSupportedYet { .. }), "{offline}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_of_a_repository_renders_as_helm_itself_does() {
    let (cache, server, folder) = (tempfile::tempdir().unwrap(), ChartServer::start(), tempfile::tempdir().unwrap());
    let guestbook = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/render/helm/guestbook");
    let packed =
        Command::new(tool("helm")).arg("package").arg(guestbook.join("input/app")).current_dir(folder.path()).output().unwrap();
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    server.publish("guestbook", "0.3.1", std::fs::read(folder.path().join("guestbook-0.3.1.tgz")).unwrap());
    let repositories = repositories(cache.path());
    let options = std::fs::read_to_string(guestbook.join("source.yaml"))
        .unwrap()
        .replace("path: app\n", "chart: guestbook\ntargetRevision: 0.x\n");
    let source = source(&options.replace("file:///repo", &server.url()));
    let version = repositories.resolve_source(&source, "default", &source.target_revision, Freshness::Now).await.unwrap();
    let tree = repositories.tree_of(&source, "default", &version).await.unwrap();
    let rendered = renderer().render(Request::new(&source, &tree, &app())).await.unwrap();
    let expected =
        crate::resource::yaml::parse_stream(&std::fs::read_to_string(guestbook.join("expected.yaml")).unwrap()).unwrap();
    assert_eq!(values(&rendered), expected.into_iter().map(|one| one.value).collect::<Vec<_>>());
    assert_eq!((version.as_str(), rendered.source_type.to_string().as_str()), ("0.3.1", "Helm"));
}

#[tokio::test(flavor = "multi_thread")]
async fn value_files_from_a_url_are_part_of_the_answer() {
    let (cache, server, repo) = (tempfile::tempdir().unwrap(), ChartServer::start(), GitRepo::new());
    chart(&repo, "app");
    repo.commit("first");
    server.put("/v.yaml", "from: url\n");
    let repositories = repositories(cache.path());
    let (tree, app) = (head(&repositories, &repo).await, app());
    let url = format!("http://{}/v.yaml", server.address);
    let source = source(&format!("repoURL: {}\npath: app\nhelm: {{valueFiles: ['{url}']}}\n", repo.url()));
    let request = Request { charts: Some(repositories.charts()), ..Request::new(&source, &tree, &app) };
    let renderer = renderer();
    assert_eq!(shown(&renderer.render(request).await.unwrap()), r#"{"from":"url"}"#);
    renderer.render(request).await.unwrap();
    assert_eq!(server.count("/v.yaml", 200), 1, "not in every reconcile");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_helm_the_error_says_what_to_install() {
    use crate::advice::Advice;
    let (cache, repo) = (tempfile::tempdir().unwrap(), GitRepo::new());
    chart(&repo, "app");
    repo.commit("first");
    let tree = head(&repositories(cache.path()), &repo).await;
    let options = super::super::Options { helm: Some("/nonexistent/helm".into()), ..super::super::Options::default() };
    let source = source(&format!("repoURL: {}\npath: app\n", repo.url()));
    let error = Renderer::new(options).render(Request::new(&source, &tree, &app())).await.unwrap_err();
    assert!(error.to_string().contains("helm"), "{error}");
    assert!(error.hint().unwrap().contains("GITOPS_HELM"), "{error} {:?}", error.hint());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_in_every_render_is_found_in_packed_and_fetched_charts_too() {
    let (cache, server, repo) = (tempfile::tempdir().unwrap(), ChartServer::start(), GitRepo::new());
    let random = |name: &str| {
        let (chart, template) = (format!("{name}/Chart.yaml"), format!("{name}/templates/cm.yaml"));
        let text = format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n");
        pack(&[Packed::file(&chart, &text), Packed::file(&template, "{{- $x := uuidv4 }}")])
    };
    server.publish("fetched", "1.0.0", random("fetched"));
    let dependencies = format!(
        "dependencies:\n- {{name: fetched, version: 1.x, repository: '{}'}}\n- {{name: packed, version: 1.x, repository: ''}}\n",
        server.url()
    );
    repo.write("app/Chart.yaml", &format!("{CHART}{dependencies}")).write("app/charts/.keep", "");
    std::fs::write(repo.folder.path().join("app/charts/packed-1.0.0.tgz"), random("packed")).unwrap();
    repo.commit("first");
    let repositories = repositories(cache.path());
    let (tree, app) = (head(&repositories, &repo).await, app());
    let source = source(&format!("repoURL: {}\npath: app\n", repo.url()));
    let request = Request { charts: Some(repositories.charts()), ..Request::new(&source, &tree, &app) };
    let warnings = renderer().render(request).await.unwrap().warnings.join("\n");
    for expected in [
        "`app/charts/packed-1.0.0.tgz: packed/templates/cm.yaml` calls uuidv4",
        "`fetched 1.0.0: templates/cm.yaml` calls uuidv4",
    ] {
        assert!(warnings.contains(expected), "{warnings}");
    }
}
