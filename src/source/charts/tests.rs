#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use crate::advice::Advice;
use crate::api::application::ApplicationSource;
use crate::source::testing::packages::{CHART_LAYER, ChartServer, IMAGE_LAYER, RegistryServer};
use crate::source::testing::{Packed, pack};
use crate::source::{Freshness, Options, Repositories, SourceError, SourceTree};

const MARKER: &str = "marker-9c07";
/// `user:marker-9c07` in a header.
const LOGIN: &str = "Basic dXNlcjptYXJrZXItOWMwNw==";

fn chart(version: &str) -> Vec<u8> {
    pack(&[
        Packed::file("web/Chart.yaml", &format!("apiVersion: v2\nname: web\nversion: {version}\n")),
        Packed::file("web/templates/cm.yaml", "kind: ConfigMap\n"),
    ])
}

fn source(url: &str, chart: &str) -> ApplicationSource {
    ApplicationSource { repo_url: url.into(), chart: chart.into(), ..ApplicationSource::default() }
}

fn repositories(cache: &std::path::Path) -> Repositories {
    let options = Options { poll_interval: Duration::ZERO, ..Options::new(cache.to_owned()) };
    Repositories::new(options)
}

fn text(tree: &SourceTree, path: &str) -> String {
    let entry = tree.entry(path).unwrap().unwrap();
    String::from_utf8(tree.read(&entry).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_of_a_repository_is_resolved_fetched_once_and_checked() {
    let (cache, server) = (tempfile::tempdir().unwrap(), ChartServer::start());
    for version in ["1.0.0", "1.2.0", "1.10.0", "2.0.0-rc.1"] {
        server.publish("web", version, chart(version));
    }
    let repositories = repositories(cache.path());
    let source = source(&server.url(), "web");
    let resolve = async |revision: &str, freshness| repositories.resolve_source(&source, "default", revision, freshness).await;
    assert_eq!(resolve("1.0.0", Freshness::Polled).await.unwrap(), "1.0.0");
    assert_eq!(server.requests().len(), 0, "an exact version is its own answer");
    assert_eq!(resolve("1.*", Freshness::Polled).await.unwrap(), "1.10.0");
    assert_eq!(resolve(">=2.0.0-0", Freshness::Polled).await.unwrap(), "2.0.0-rc.1");
    assert_eq!(server.count("/charts/index.yaml", 200), 1);

    let tree = repositories.tree_of(&source, "default", "1.10.0").await.unwrap();
    assert!(text(&tree, "Chart.yaml").contains("version: 1.10.0"));
    assert_eq!(tree.revision(), "1.10.0");
    repositories.tree_of(&source, "default", "1.10.0").await.unwrap();
    assert_eq!(server.count("/charts/web-1.10.0.tgz", 200), 1);
    // A later process finds it on disk; one whose disk was lost fetches it again.
    let later = super::tests::repositories(cache.path());
    later.tree_of(&source, "default", "1.10.0").await.unwrap();
    assert_eq!(server.count("/charts/web-1.10.0.tgz", 200), 1);
    std::fs::remove_dir_all(cache.path().join("charts")).unwrap();
    assert!(text(&repositories.tree_of(&source, "default", "1.10.0").await.unwrap(), "Chart.yaml").contains("1.10.0"));

    // Asked as of now, the server says that nothing changed, and then that something did.
    assert_eq!(resolve("1.*", Freshness::Now).await.unwrap(), "1.10.0");
    assert_eq!(server.count("/charts/index.yaml", 304), 1);
    let mut changes = repositories.subscribe();
    server.publish("web", "1.11.0", chart("1.11.0"));
    assert_eq!(resolve("1.*", Freshness::Polled).await.unwrap(), "1.10.0");
    assert_eq!(resolve("1.*", Freshness::Now).await.unwrap(), "1.11.0");
    assert_eq!(changes.recv().await.unwrap(), server.url(), "its applications hear of it");
    // Published after the last look.
    server.publish("web", "1.12.0", chart("1.12.0"));
    repositories.tree_of(&source, "default", "1.12.0").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_repository_is_said() {
    let (cache, server) = (tempfile::tempdir().unwrap(), ChartServer::start());
    server.publish("web", "1.0.0", chart("1.0.0"));
    server.list("web", "1.0.1", "absent.tgz", "");
    server.put("/charts/other.tgz", chart("1.0.2"));
    server.list("web", "1.0.2", "other.tgz", &"0".repeat(64));
    server.put("/charts/page.tgz", "<html>");
    server.list("web", "1.0.3", "page.tgz", "");
    server.put("/charts/loose.tgz", pack(&[Packed::file("web/values.yaml", "")]));
    server.list("web", "1.0.4", "loose.tgz", "");
    let repositories = repositories(cache.path());
    let web = source(&server.url(), "web");
    let fails = async |version: &str| repositories.tree_of(&web, "default", version).await.unwrap_err().to_string();
    let url = server.url();
    assert_eq!(fails("1.0.1").await, format!("there is nothing at {url}/absent.tgz"));
    assert!(fails("1.0.2").await.contains("its SHA-256 is"));
    assert!(fails("1.0.3").await.contains("it is no tar archive"));
    assert!(fails("1.0.4").await.contains("it is no chart"));
    assert_eq!(fails("9.0.0").await, format!("{url} has no version of `web` for `9.0.0`"));
    let resolve = async |source: &ApplicationSource, revision: &str| {
        repositories.resolve_source(source, "default", revision, Freshness::Now).await.unwrap_err()
    };
    let error = resolve(&web, "9.*").await;
    assert_eq!(error.to_string(), format!("{url} has no version of `web` for `9.*`"));
    assert!(error.hint().unwrap().contains("targetRevision"));
    assert_eq!(resolve(&source(&url, "absent"), "*").await.to_string(), format!("{url} has no chart `absent`"));
    let error = resolve(&source(&format!("http://{}/elsewhere", server.address), "web"), "*").await;
    assert!(error.to_string().contains("no Helm repository") && error.to_string().contains("no index.yaml"), "{error}");
    server.put("/html/index.yaml", "<html>");
    let error = resolve(&source(&format!("http://{}/html", server.address), "web"), "*").await;
    assert!(error.to_string().contains("index.yaml cannot be read"), "{error}");
    server.set_down(true);
    assert!(matches!(resolve(&web, "*").await, SourceError::Unreachable { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_goes_to_its_host_and_into_no_error() {
    let (cache, cdn, server) = (tempfile::tempdir().unwrap(), ChartServer::start(), ChartServer::start().login(LOGIN));
    cdn.put("/web-1.0.0.tgz", chart("1.0.0"));
    server.list("web", "1.0.0", &format!("http://{}/web-1.0.0.tgz", cdn.address), "");
    server.publish("web", "1.1.0", chart("1.1.0"));
    let repositories = repositories(cache.path());
    let with_login = source(&server.url().replace("://", &format!("://user:{MARKER}@")), "web");
    for version in ["1.0.0", "1.1.0"] {
        repositories.tree_of(&with_login, "default", version).await.unwrap();
    }
    assert!(cdn.requests().iter().all(|request| request.header("authorization").is_empty()), "another host is told nothing");
    for url in [server.url(), server.url().replace("://", &format!("://other:{MARKER}@"))] {
        let error = repositories.resolve_source(&source(&url, "web"), "default", "*", Freshness::Now).await.unwrap_err();
        assert!(matches!(error, SourceError::AccessDenied { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains(MARKER), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_and_an_artifact_of_a_registry_are_read_by_tag_constraint_and_digest() {
    let (cache, registry) = (tempfile::tempdir().unwrap(), RegistryServer::start().page(2));
    for version in ["1.0.0", "1.2.0", "1.10.0_build", "latest"] {
        registry.push(
            "org/web",
            version,
            &[(CHART_LAYER, chart(&version.replace('_', "+"))), ("application/x-prov", Vec::new())],
        );
    }
    let repositories = repositories(cache.path());
    let host = registry.address.to_string();
    for url in [format!("{host}/org"), format!("oci://{host}/org")] {
        let source = source(&url, "web");
        assert_eq!(
            repositories.resolve_source(&source, "default", "1.*", Freshness::Now).await.unwrap(),
            "1.10.0+build",
            "all pages are read"
        );
        let tree = repositories.tree_of(&source, "default", "1.10.0+build").await.unwrap();
        assert!(text(&tree, "Chart.yaml").contains("version: 1.10.0+build"));
        let error = repositories.tree_of(&source, "default", "7.0.0").await.unwrap_err();
        assert!(error.to_string().contains("revision `7.0.0` does not exist"), "{error}");
    }
    let manifests = pack(&[Packed::file("deploy/cm.yaml", "kind: ConfigMap\n")]);
    let first = registry.push("org/app", "v1.0.0", &[(IMAGE_LAYER, manifests.clone())]);
    registry.push("org/app", "latest", &[(IMAGE_LAYER, pack(&[Packed::file("deploy/cm.yaml", "kind: Secret\n")]))]);
    let app = source(&format!("oci://{host}/org/app"), "");
    let resolve = async |revision: &str| repositories.resolve_source(&app, "default", revision, Freshness::Now).await;
    for revision in ["v1.0.0", "1.*", "v1.x", first.as_str()] {
        assert_eq!(resolve(revision).await.unwrap(), first, "{revision}");
    }
    assert_ne!(resolve("HEAD").await.unwrap(), first, "no revision means the tag latest");
    let tree = repositories.tree_of(&app, "default", &first).await.unwrap();
    assert_eq!(text(&tree, "deploy/cm.yaml"), "kind: ConfigMap\n");
    assert_eq!(tree.revision(), first);
    // With the type of a chart the top folder goes, so that `path: .` is the chart.
    let digest = registry.push("org/as-chart", "1.0.0", &[(CHART_LAYER, chart("1.0.0"))]);
    let tree = repositories.tree_of(&source(&format!("oci://{host}/org/as-chart"), ""), "default", &digest).await.unwrap();
    assert!(tree.entry("Chart.yaml").unwrap().is_some());
    assert!(matches!(resolve("absent").await.unwrap_err(), SourceError::NoSuchVersion { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_checks_logins_and_we_check_digests() {
    let (cache, registry) = (tempfile::tempdir().unwrap(), RegistryServer::start().login(LOGIN));
    let repositories = repositories(cache.path());
    let host = registry.address.to_string();
    registry.push("org/web", "1.0.0", &[(CHART_LAYER, chart("1.0.0"))]);
    let error =
        repositories.resolve_source(&source(&format!("{host}/org"), "web"), "default", "*", Freshness::Now).await.unwrap_err();
    assert!(matches!(error, SourceError::AccessDenied { .. }), "{error}");

    let open = RegistryServer::start();
    let host = open.address.to_string();
    let content = chart("1.0.0");
    open.push("org/web", "1.0.0", &[(CHART_LAYER, content.clone())]);
    open.corrupt(&content);
    let error = repositories.tree_of(&source(&format!("{host}/org"), "web"), "default", "1.0.0").await.unwrap_err();
    assert!(matches!(error, SourceError::BadArchive { .. }) && error.to_string().contains("igest"), "{error}");
    open.push("org/two", "1.0.0", &[(IMAGE_LAYER, chart("1.0.0")), (IMAGE_LAYER, chart("1.0.1"))]);
    open.push("org/none", "1.0.0", &[("text/plain", Vec::new())]);
    for (name, expected) in [("two", "2 layers with content"), ("none", "no layer of a known type (text/plain)")] {
        let source = source(&format!("oci://{host}/org/{name}"), "");
        let digest = repositories.resolve_source(&source, "default", "1.0.0", Freshness::Now).await.unwrap();
        let error = repositories.tree_of(&source, "default", &digest).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_failed_is_not_tried_in_every_reconcile() {
    let (cache, server) = (tempfile::tempdir().unwrap(), ChartServer::start());
    server.list("web", "1.0.0", "absent.tgz", "");
    let repositories = repositories(cache.path());
    let web = source(&server.url(), "web");
    let first = repositories.tree_of(&web, "default", "1.0.0").await.unwrap_err();
    assert_eq!(repositories.tree_of(&web, "default", "1.0.0").await.unwrap_err(), first);
    assert_eq!(server.count("/charts/absent.tgz", 404), 1);
    // Somebody asks for an answer as of now.
    server.put("/charts/absent.tgz", chart("1.0.0"));
    repositories.resolve_source(&web, "default", "1.0.0", Freshness::Now).await.unwrap();
    repositories.tree_of(&web, "default", "1.0.0").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_here_serves_while_its_repository_is_away() {
    let (cache, server) = (tempfile::tempdir().unwrap(), ChartServer::start());
    server.publish("web", "1.0.0", chart("1.0.0"));
    let web = source(&server.url(), "web");
    repositories(cache.path()).tree_of(&web, "default", "1.0.0").await.unwrap();
    server.set_down(true);
    let later = repositories(cache.path());
    assert_eq!(later.resolve_source(&web, "default", "1.0.0", Freshness::Now).await.unwrap(), "1.0.0");
    assert!(text(&later.tree_of(&web, "default", "1.0.0").await.unwrap(), "Chart.yaml").contains("1.0.0"));
    assert!(matches!(later.tree_of(&web, "default", "1.0.1").await.unwrap_err(), SourceError::Unreachable { .. }));
}

fn registered(secret: serde_json::Value) -> super::Registered {
    let mut secret = secret;
    secret["metadata"] = serde_json::json!({ "name": "charts", "labels": { "argocd.argoproj.io/secret-type": "repository" } });
    let secret: k8s_openapi::api::core::v1::Secret = serde_json::from_value(secret).unwrap();
    super::Registered::new([&secret], crate::source::credentials::Trust::default())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_registered_for_a_repository_opens_it() {
    let (cache, server, registry) =
        (tempfile::tempdir().unwrap(), ChartServer::start().login(LOGIN), RegistryServer::start().login(LOGIN));
    server.publish("web", "1.0.0", chart("1.0.0"));
    registry.push("org/web", "1.0.0", &[(CHART_LAYER, chart("1.0.0"))]);
    let repositories = repositories(cache.path());
    let login = |url: &str, more: &[(&str, &str)]| {
        let mut data = serde_json::json!({ "url": url, "type": "helm", "name": "mine", "username": "user", "password": MARKER });
        more.iter().for_each(|(field, value)| data[*field] = (*value).into());
        registered(serde_json::json!({ "stringData": data, "data": encoded(&data) }))
    };
    let charts = repositories.charts();
    charts.register(login(&server.url(), &[("project", "shop")]));
    let web = source(&server.url(), "web");
    let resolve = async |project: &str| repositories.resolve_source(&web, project, "1.*", Freshness::Now).await;
    assert_eq!(resolve("shop").await.unwrap(), "1.0.0");
    assert!(matches!(resolve("other").await.unwrap_err(), SourceError::AccessDenied { .. }), "it is for one project alone");
    // A chart may call the repository of a dependency by its name.
    for name in ["@mine", "alias:mine"] {
        let origin = charts.origin_of_dependency(name, "web", "shop").unwrap();
        assert_eq!(charts.resolve(&origin, "*", Freshness::Now).await.unwrap(), "1.0.0");
    }
    let error = charts.origin_of_dependency("@absent", "web", "shop").unwrap_err();
    assert!(error.to_string().contains("no repository is registered under the name `absent`"), "{error}");

    let url = format!("https://{}/org", registry.address);
    charts.register(login(&url, &[("enableOCI", "true")]));
    let web = source(&url, "web");
    assert_eq!(repositories.resolve_source(&web, "shop", "1.*", Freshness::Now).await.unwrap(), "1.0.0");
    assert!(!format!("{charts:?} {:?}", charts.origin(&web, "shop")).contains(MARKER));
}

fn encoded(data: &serde_json::Value) -> serde_json::Value {
    let encode = |value: &serde_json::Value| crate::resource::base64::encode(value.as_str().unwrap().as_bytes());
    data.as_object().unwrap().iter().map(|(key, value)| (key.clone(), serde_json::Value::from(encode(value)))).collect()
}
