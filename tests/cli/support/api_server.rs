//! An API server for one test: it holds objects, answers lists, watches and patches, and plays the controller's part.
//!
//! `cluster/*.yaml` are the objects. `cluster/then/*.yaml` are merge patches to the Application named in each; they are
//! applied one after the other, each as one watch event, as soon as somebody watches after the last write. A patch file
//! with `after: N` in its name (`1-...`, `2-...`) belongs to the N-th write of the program; `0-...` needs none.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;

const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1";

/// A running server; it ends with the runtime.
pub struct ApiServer {
    url: String,
    state: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    version: u64,
    objects: BTreeMap<String, Value>,
    events: Vec<(u64, Value)>,
    steps: BTreeMap<usize, Vec<Value>>,
    writes: Vec<String>,
}

impl ApiServer {
    /// Starts with the objects and steps of a folder.
    pub async fn start(folder: &Path) -> Self {
        let mut inner = Inner { version: 100, ..Inner::default() };
        for (_, mut object) in read(folder) {
            fill(&mut object);
            let path = path_of(&object);
            inner.put(&path, object, "ADDED");
        }
        for (name, patch) in read(&folder.join("then")) {
            let after = name.split('-').next().and_then(|number| number.parse().ok()).unwrap();
            inner.steps.entry(after).or_default().push(patch);
        }
        let state = Arc::new(Shared { inner: Mutex::new(inner), changed: Notify::new() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the program wrote, in order.
    pub fn log(&self) -> String {
        self.state.inner.lock().unwrap().writes.iter().map(|line| format!("> {line}\n")).collect()
    }
}

fn read(folder: &Path) -> Vec<(String, Value)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap())).collect()
}

/// Secrets may take their values from files of the repository.
fn fill(object: &mut Value) {
    let Some(Value::Object(files)) = object.as_object_mut().and_then(|object| object.remove("fromFiles")) else { return };
    for (key, file) in files {
        let content = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file.as_str().unwrap())).unwrap();
        object["data"][key] = kubectl_gitops::sealing::encode_base64(&content).into();
    }
}

fn path_of(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let api = text("/apiVersion");
    let prefix = if api.contains('/') { format!("/apis/{api}") } else { format!("/api/{api}") };
    let plural = text("/kind").to_lowercase() + "s";
    match text("/metadata/namespace").as_str() {
        "" => format!("{prefix}/{plural}/{}", text("/metadata/name")),
        namespace => format!("{prefix}/namespaces/{namespace}/{plural}/{}", text("/metadata/name")),
    }
}

impl Inner {
    fn put(&mut self, path: &str, mut object: Value, event: &str) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects.insert(path.to_owned(), object.clone());
        self.events.push((self.version, json!({ "type": event, "object": object })));
        object
    }

    fn delete(&mut self, path: &str) {
        self.version += 1;
        if let Some(object) = self.objects.remove(path) {
            self.events.push((self.version, json!({ "type": "DELETED", "object": object })));
        }
    }
}

async fn answer(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path().to_owned();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    match parts.method {
        Method::PATCH => patch(&state, &path, &query, &body),
        Method::POST if path.ends_with("/selfsubjectreviews") => {
            ok(&json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {},
                "status": { "userInfo": { "username": "ann" } } }))
        }
        Method::POST if path.ends_with("/selfsubjectaccessreviews") => review(&body),
        Method::GET if path == "/version" => ok(
            &json!({ "major": "1", "minor": "36", "gitVersion": "v1.36.3", "gitCommit": "", "gitTreeState": "", "buildDate": "",
                "goVersion": "", "compiler": "", "platform": "" }),
        ),
        Method::GET if path.ends_with("/applications") && query.has("watch", "true") => watch(state, &path, &query),
        Method::GET if path.ends_with("/applications") => list(&state, &path, &query),
        Method::POST if path.ends_with("/applications") => write(&state, &path, &query, &body),
        Method::PUT if path.contains("/applications/") => write(&state, &path, &query, &body),
        Method::DELETE if path.contains("/applications/") => delete(&state, &path),
        Method::GET if LISTED.iter().any(|plural| path.ends_with(plural)) => list_any(&state, &path, &query),
        Method::POST if path.ends_with("/secrets") || path.ends_with("/leases") => create(&state, &path, &query, &body),
        Method::GET => get(&state, &path),
        _ => refuse(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "not in this test"),
    }
}

/// Kinds that can be listed, besides Applications.
const LISTED: &[&str] = &["/secrets", "/sealedsecrets", "/deployments", "/statefulsets", "/applicationsets", "/appprojects"];

/// The user may do everything but change roles of the whole cluster.
fn review(body: &Bytes) -> Response {
    let asked: Value = serde_json::from_slice(body).unwrap();
    let resource = asked["spec"]["resourceAttributes"]["resource"].as_str().unwrap_or_default();
    ok(&json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": asked["spec"],
        "status": { "allowed": !resource.starts_with("clusterrole") } }))
}

struct Query(Vec<(String, String)>);

impl Query {
    fn parse(text: &str) -> Self {
        let decode = |text: &str| text.replace('+', " ").replace("%3D", "=").replace("%2C", ",").replace("%21", "!");
        Self(text.split('&').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (decode(key), decode(value))).collect())
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn has(&self, key: &str, value: &str) -> bool {
        self.value(key) == Some(value)
    }

    /// Name and one-label selectors, which is what the tests use.
    fn selects(&self, object: &Value) -> bool {
        let field = self.value("fieldSelector").and_then(|text| text.strip_prefix("metadata.name="));
        let selector = self.value("labelSelector");
        let label = selector.and_then(|text| text.split_once('='));
        let exists = selector.filter(|text| !text.contains('=')).map(|text| text.replace("%2F", "/"));
        exists.is_none_or(|key| object["metadata"]["labels"].get(key).is_some())
            && field.is_none_or(|name| object["metadata"]["name"] == name)
            && label.is_none_or(|(key, value)| object["metadata"]["labels"][key] == value)
    }
}

/// The namespace in the path of a list, none for lists over all.
fn namespace(path: &str) -> Option<&str> {
    path.strip_prefix(APPLICATIONS)?.strip_prefix("/namespaces/")?.split('/').next()
}

fn in_scope(path: &str, query: &Query, object: &Value) -> bool {
    object["kind"] == "Application"
        && namespace(path).is_none_or(|namespace| object["metadata"]["namespace"] == namespace)
        && query.selects(object)
}

fn list(state: &Shared, path: &str, query: &Query) -> Response {
    let inner = state.inner.lock().unwrap();
    if namespace(path) == Some("forbidden") {
        return refuse(
            StatusCode::FORBIDDEN,
            "Forbidden",
            "applications.argoproj.io is forbidden: User \"ann\" cannot list resource \"applications\" in API group \"argoproj.io\" in the namespace \"forbidden\"",
        );
    }
    match namespace(path) {
        Some("expired") => return refuse(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized"),
        Some("uninstalled") => {
            return refuse(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource");
        }
        _ => {}
    }
    let items: Vec<&Value> = inner.objects.values().filter(|object| in_scope(path, query, object)).collect();
    ok(&json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationList",
        "metadata": { "resourceVersion": inner.version.to_string() }, "items": items }))
}

fn get(state: &Shared, path: &str) -> Response {
    match state.inner.lock().unwrap().objects.get(path) {
        Some(object) => ok(object),
        None => refuse(StatusCode::NOT_FOUND, "NotFound", &format!("{path} not found")),
    }
}

/// Lists of other kinds. A kind of which there is no object is not installed, except for the built-in one.
fn list_any(state: &Shared, path: &str, query: &Query) -> Response {
    let (rest, plural) = path.rsplit_once('/').unwrap();
    let (api, namespace) = rest.split_once("/namespaces/").map_or((rest, None), |(api, namespace)| (api, Some(namespace)));
    if namespace == Some("forbidden") {
        return refuse(
            StatusCode::FORBIDDEN,
            "Forbidden",
            &format!(
                "{plural} is forbidden: User \"ann\" cannot list resource \"{plural}\" in API group \"\" in the namespace \"forbidden\""
            ),
        );
    }
    let inner = state.inner.lock().unwrap();
    let of_kind = |path: &&String| path.starts_with(&format!("{api}/namespaces/")) && path.contains(&format!("/{plural}/"));
    if plural != "secrets" && !inner.objects.keys().any(|path| of_kind(&path)) {
        return refuse(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource");
    }
    let in_namespace = |path: &str| namespace.is_none_or(|namespace| path.contains(&format!("/namespaces/{namespace}/")));
    let chosen = inner.objects.iter().filter(|(path, object)| of_kind(path) && in_namespace(path) && query.selects(object));
    let items: Vec<&Value> = chosen.map(|(_, object)| object).collect();
    ok(
        &json!({ "apiVersion": "v1", "kind": "List", "metadata": { "resourceVersion": inner.version.to_string() }, "items": items }),
    )
}

/// Creates a Secret; what it holds is not written down.
fn create(state: &Shared, path: &str, query: &Query, body: &Bytes) -> Response {
    let mut object: Value = serde_json::from_slice(body).unwrap();
    if path.contains("/namespaces/readonly/") {
        return refuse(
            StatusCode::FORBIDDEN,
            "Forbidden",
            "secrets is forbidden: User \"ann\" cannot create resource \"secrets\" in API group \"\" in the namespace \"readonly\"",
        );
    }
    let prefix = object["metadata"]["generateName"].as_str().map(|prefix| format!("{prefix}x7k2p"));
    let name = object["metadata"]["name"].as_str().map(str::to_owned).or(prefix).unwrap();
    object["metadata"]["name"] = name.as_str().into();
    if query.has("dryRun", "All") {
        return ok(&object);
    }
    let mut inner = state.inner.lock().unwrap();
    inner.writes.push(format!("POST {path} {name} labels {}", object["metadata"]["labels"]));
    ok(&inner.put(&format!("{path}/{name}"), object, "ADDED"))
}

fn patch(state: &Shared, path: &str, query: &Query, body: &Bytes) -> Response {
    let mut inner = state.inner.lock().unwrap();
    let patch: Value = serde_json::from_slice(body).unwrap();
    let Some(mut object) = inner.objects.get(path).cloned() else {
        return refuse(StatusCode::NOT_FOUND, "NotFound", "not found");
    };
    let expected = patch.pointer("/metadata/resourceVersion");
    if expected.is_some_and(|version| *version != object["metadata"]["resourceVersion"]) {
        return refuse(StatusCode::CONFLICT, "Conflict", "the object has been modified");
    }
    let mut told = patch.clone();
    if let Some(metadata) = told["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    if query.has("dryRun", "All") {
        return ok(&object);
    }
    inner.writes.push(format!("PATCH {path} {told}"));
    merge(&mut object, &patch);
    let stored = inner.put(path, object, "MODIFIED");
    drop(inner);
    state.changed.notify_waiters();
    ok(&stored)
}

/// Creates or replaces an Application. What is written down is its spec.
fn write(state: &Shared, path: &str, query: &Query, body: &Bytes) -> Response {
    let object: Value = serde_json::from_slice(body).unwrap();
    let creates = path.ends_with("/applications");
    let at = if creates { format!("{path}/{}", object["metadata"]["name"].as_str().unwrap()) } else { path.to_owned() };
    let mut inner = state.inner.lock().unwrap();
    let current = inner.objects.get(&at).map(|current| current["metadata"]["resourceVersion"].clone());
    if !creates && current.as_ref() != Some(&object["metadata"]["resourceVersion"]) {
        return refuse(StatusCode::CONFLICT, "Conflict", "the object has been modified");
    }
    if query.has("dryRun", "All") {
        return ok(&object);
    }
    inner.writes.push(format!("{} {at} spec {}", if creates { "POST" } else { "PUT" }, object["spec"]));
    let stored = inner.put(&at, object, if creates { "ADDED" } else { "MODIFIED" });
    drop(inner);
    state.changed.notify_waiters();
    ok(&stored)
}

fn delete(state: &Shared, path: &str) -> Response {
    let mut inner = state.inner.lock().unwrap();
    inner.writes.push(format!("DELETE {path}"));
    inner.delete(path);
    drop(inner);
    state.changed.notify_waiters();
    ok(&json!({ "apiVersion": "v1", "kind": "Status", "status": "Success" }))
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}

fn watch(state: Arc<Shared>, path: &str, query: &Query) -> Response {
    let from = query.value("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
    tokio::spawn(play(Arc::clone(&state)));
    let (path, query) = (path.to_owned(), Query(query.0.clone()));
    let events = futures::stream::unfold((state, from), move |(state, last)| {
        let (path, query) = (path.clone(), Query(query.0.clone()));
        async move {
            let (lines, last) = next_events(&state, last, &path, &query).await;
            Some((Ok::<_, std::convert::Infallible>(lines), (state, last)))
        }
    });
    Body::from_stream(events).into_response()
}

async fn next_events(state: &Shared, last: u64, path: &str, query: &Query) -> (String, u64) {
    loop {
        let changed = state.changed.notified();
        {
            let inner = state.inner.lock().unwrap();
            let fresh = inner.events.iter().filter(|(version, event)| *version > last && in_scope(path, query, &event["object"]));
            let lines: String = fresh.map(|(_, event)| format!("{event}\n")).collect();
            if !lines.is_empty() {
                return (lines, inner.version);
            }
        }
        // The time is a net under notifications that came between the look and the wait.
        let _ = tokio::time::timeout(Duration::from_millis(20), changed).await;
    }
}

/// Plays the steps that are due after the writes so far.
async fn play(state: Arc<Shared>) {
    let due = {
        let mut inner = state.inner.lock().unwrap();
        let writes = inner.writes.len();
        inner.steps.remove(&writes).unwrap_or_default()
    };
    for step in due {
        tokio::time::sleep(Duration::from_millis(30)).await;
        let mut inner = state.inner.lock().unwrap();
        let path = inner
            .objects
            .keys()
            .find(|path| path.ends_with(&format!("/applications/{}", step["app"].as_str().unwrap())))
            .cloned()
            .unwrap();
        if step["delete"] == true {
            inner.delete(&path);
        } else {
            let mut object = inner.objects[&path].clone();
            merge(&mut object, &step["patch"]);
            inner.put(&path, object, "MODIFIED");
        }
        drop(inner);
        state.changed.notify_waiters();
    }
}

fn ok(body: &Value) -> Response {
    (StatusCode::OK, [("content-type", "application/json")], body.to_string()).into_response()
}

fn refuse(code: StatusCode, reason: &str, message: &str) -> Response {
    let body = json!({ "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code.as_u16(), "reason": reason, "message": message });
    (code, [("content-type", "application/json")], body.to_string()).into_response()
}
