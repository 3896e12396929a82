//! Providers, answered by a local server that replays their documented answers: `tests/fixtures/appset-providers/*.yaml`.
//!
//! - `kind`, `section`: who is asked, with what; `protocol`: how to clone (`ssh`).
//! - `routes`: path and query to `{status, headers, body}`; `{base}` is the server's URL. Anything else is 404.
//! - `expected`: `repositories`, one line each with its branches; `paths`: what exists; `pullRequests`, one line each;
//!   `error`: part of the text instead.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Response, Uri};
use serde_json::Value as Json;

use super::api::{Api, ApiError, Login};
use super::{Asked, Kind};
use crate::controller::applicationset::http_client;
use crate::resource::yaml::parse_one;

const TOKEN: &str = "marker-7f3a";

#[tokio::test]
async fn documented_answers_are_understood() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/appset-providers");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut failures = Vec::new();
    for file in files {
        let case = parse_one(&fs::read_to_string(&file).unwrap()).unwrap();
        let (seen, wanted) = (run(&case).await, &case["expected"]);
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        for (key, wanted) in wanted.as_object().unwrap() {
            let same = match (key.as_str(), seen[key].as_str()) {
                ("error", Some(seen)) => seen.contains(wanted.as_str().unwrap()),
                _ => seen[key] == *wanted,
            };
            if !same || seen.to_string().contains(TOKEN) {
                failures.push(format!("{name}: {key} is {}, wanted {wanted}", seen[key]));
            }
        }
        if wanted.get("error").is_none() && !seen["error"].is_null() {
            failures.push(format!("{name}: {}", seen["error"]));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

async fn run(case: &Json) -> Json {
    let base = serve(case["routes"].clone()).await;
    let kind = match case["kind"].as_str().unwrap() {
        "github" => Kind::GitHub,
        "gitlab" => Kind::GitLab,
        "gitea" => Kind::Gitea,
        "bitbucket" => Kind::Bitbucket,
        "bitbucketServer" => Kind::BitbucketServer,
        _ => Kind::Azure,
    };
    let login = Login::Token("Bearer", TOKEN.to_owned().into());
    let asked = Asked { kind, section: case["section"].clone(), api: Api::new(http_client().unwrap(), &base, login).unwrap() };
    let mut seen = serde_json::json!({});
    if let Err(error) = ask(&asked, case, &mut seen).await {
        seen["error"] = match error {
            ApiError::NotFound(text) => format!("not found: {text}").into(),
            ApiError::Failed(text) => text.into(),
        };
    }
    seen
}

async fn ask(asked: &Asked, case: &Json, seen: &mut Json) -> Result<(), ApiError> {
    let wants = |what: &str| case["expected"].get(what).is_some() || case["ask"] == what;
    if wants("pullRequests") {
        let found = asked.pull_requests().await?;
        let lines = found.iter().map(|one| {
            format!(
                "{} {} {} {}>{} [{}] {}",
                one.number,
                one.title,
                one.head_sha,
                one.branch,
                one.target_branch,
                one.labels.join(","),
                one.author
            )
        });
        seen["pullRequests"] = lines.collect();
    }
    if !wants("repositories") {
        return Ok(());
    }
    let (mut lines, mut paths) = (Vec::new(), Vec::new());
    for one in asked.repositories(case["protocol"].as_str().unwrap_or("ssh")).await? {
        let branches = asked.branches(&one).await?;
        let shown: Vec<String> = branches.iter().map(|branch| format!("{}@{}", branch.name, branch.sha)).collect();
        lines.push(format!(
            "{}/{} {:?} {} [{}] {}",
            one.organization,
            one.name,
            one.id,
            one.url,
            one.labels.join(","),
            shown.join(" ")
        ));
        for path in case["ask_paths"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            for branch in &branches {
                paths.push(format!("{}:{path} {}", one.name, asked.path_exists(&one, branch, path).await?));
            }
        }
    }
    seen["repositories"] = lines.into();
    seen["paths"] = paths.into();
    Ok(())
}

/// Serves the routes on a port of its own and returns its URL. Requests without the token are refused.
async fn serve(routes: Json) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let own = base.clone();
    let answer = move |headers: HeaderMap, uri: Uri| {
        let (routes, base) = (routes.clone(), own.clone());
        async move {
            let wanted = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
            let route = &routes[&wanted];
            let authorised = headers.get("authorization").is_some_and(|value| value == &format!("Bearer {TOKEN}"));
            let status = match (authorised, route.is_null()) {
                (false, _) => 401,
                (true, true) => 404,
                (true, false) => u16::try_from(route["status"].as_u64().unwrap_or(200)).unwrap(),
            };
            let mut response = Response::builder().status(status);
            for (name, value) in route["headers"].as_object().into_iter().flatten() {
                response = response.header(name, value.as_str().unwrap().replace("{base}", &base));
            }
            let body = if route["body"].is_null() { String::new() } else { route["body"].to_string().replace("{base}", &base) };
            response.body(Body::from(body)).unwrap()
        }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    base
}
