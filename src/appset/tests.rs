//! Cases as data: `tests/fixtures/appset/CASE/`, a folder each.
//!
//! - `appset.yaml`: the ApplicationSet; its namespace is `argocd` unless it says otherwise.
//! - `inputs.yaml`: what generators read: `clusters`, `projects` (`[default]`), `trees`, `repositories`, `pullRequests`,
//!   `decisions`, `plugin`; a section `{fails: TEXT}` is an error.
//! - `live.yaml`: Applications that exist already; `settings.yaml`: what the installation chose.
//! - `expected.yaml`: `error` (part of the text), or `applications` (every one, with the fields that matter), `problems`
//!   (name: part of the text), `plan` (lines) and `held` (part of the text).

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::plan::{Policy, Settings, State, Step, plan};
use super::scm::{Branch, PullRequest, Repository, RepositoryId};
use super::*;
use crate::resource::yaml::{parse_one, to_yaml};
use crate::template::StillWorld;

#[test]
fn cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/appset");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let only = std::env::var("CASE").unwrap_or_default();
    let failures: Vec<String> = cases
        .iter()
        .filter(|case| case.to_string_lossy().contains(&only))
        .flat_map(|case| {
            let name = case.file_name().unwrap().to_string_lossy().into_owned();
            check(case).into_iter().map(move |problem| format!("{name}: {problem}"))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn check(case: &Path) -> Vec<String> {
    let read = |file: &str| fs::read_to_string(case.join(file)).map(|text| parse_one(&text).unwrap()).unwrap_or(Json::Null);
    let mut set: ApplicationSet = serde_json::from_value(read("appset.yaml")).unwrap();
    set.metadata.namespace.get_or_insert_with(|| "argocd".into());
    set.metadata.uid.get_or_insert_with(|| "set-uid".into());
    let (given, expected) = (read("inputs.yaml"), read("expected.yaml"));
    let mut inputs = Inputs {
        clusters: given["clusters"].as_array().into_iter().flatten().map(cluster).collect(),
        projects: given["projects"]
            .as_array()
            .map_or_else(|| ["default".to_owned()].into(), |all| texts(all).into_iter().collect()),
        new_file_globbing: given["newFileGlobbing"] == true,
        ..Inputs::default()
    };
    let applications = match run(&set, &mut inputs, &given) {
        Ok(applications) => applications,
        Err(error) => {
            let wanted = expected["error"].as_str();
            let found = wanted.is_some_and(|wanted| error.to_string().contains(wanted));
            return if found { Vec::new() } else { vec![format!("unexpected error: {error}")] };
        }
    };
    if let Some(wanted) = expected["error"].as_str() {
        return vec![format!("no error, wanted {wanted}; got {}", to_yaml(&Json::Array(applications)))];
    }
    let generated: BTreeSet<String> =
        applications.iter().map(|app| app["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect();
    let (valid, invalid) = validate(applications, &inputs);
    let mut problems = compare_apps(&valid, &expected["applications"]);
    let mut found_problems = invalid.problems;
    if let Some(lines) = expected["plan"].as_array() {
        let live = read("live.yaml").as_array().cloned().unwrap_or_default();
        let state = State { wanted: &valid, generated: &generated, live: &live, clusters: &inputs.clusters };
        let now = "2026-11-25T12:00:00Z".parse::<Timestamp>().unwrap();
        match plan(&set, state, &settings(&read("settings.yaml")), now) {
            Err(error) => problems.push(format!("plan: {error}")),
            Ok(plan) => {
                let found: Vec<String> = plan.steps.iter().map(line).collect();
                if found != texts(lines) {
                    problems.push(format!("plan is\n  {}", found.join("\n  ")));
                }
                let held = plan.held.map(|held| held.message);
                let wanted = expected["held"].as_str();
                if held.is_some() != wanted.is_some() || !held.clone().unwrap_or_default().contains(wanted.unwrap_or_default()) {
                    problems.push(format!("held is {held:?}"));
                }
                // What is written must satisfy: else the next pass writes again, and so on for ever.
                let after = applied(&live, &plan.steps);
                let state = State { live: &after, ..state };
                match super::plan::plan(&set, state, &settings(&read("settings.yaml")), now) {
                    Ok(again) if again.steps.is_empty() => {}
                    again => problems.push(format!("a second pass would write again: {again:?}")),
                }
                found_problems.extend(plan.problems);
            }
        }
    }
    let wanted = expected["problems"].as_object().cloned().unwrap_or_default();
    let matching = |name: &String, text: &String| wanted.get(name).and_then(Json::as_str).is_some_and(|part| text.contains(part));
    if wanted.len() != found_problems.len() || !found_problems.iter().all(|(name, text)| matching(name, text)) {
        problems.push(format!("problems are {found_problems:?}"));
    }
    problems
}

fn run(set: &ApplicationSet, inputs: &mut Inputs, given: &Json) -> Result<Vec<Json>, GenerateError> {
    for _ in 0..20 {
        match generate(set, inputs, &mut StillWorld::new())? {
            Generation::Applications(applications) => return Ok(applications),
            Generation::Needs(requests) => {
                for request in requests {
                    let answer = answer(&request, given);
                    inputs.answers.insert(request, answer);
                }
            }
        }
    }
    Ok(vec![json!("the questions do not end")])
}

/// The Applications after the writes.
fn applied(live: &[Json], steps: &[Step]) -> Vec<Json> {
    let mut after = live.to_vec();
    for step in steps {
        let found = after.iter().position(|app| app["metadata"]["name"] == step.name());
        match (step, found) {
            (Step::Create(app), _) => after.push(app.clone()),
            (Step::Update { patch, .. }, Some(index)) => merge(&mut after[index], patch),
            (Step::Delete { .. }, Some(index)) => drop(after.remove(index)),
            (_, None) => after.push(json!({ "metadata": { "name": "a write to nothing" } })),
        }
    }
    after
}

/// RFC 7396, as the API server applies it.
fn merge(object: &mut Json, patch: &Json) {
    let Json::Object(patch) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut object[key], value);
        }
    }
}

fn line(step: &Step) -> String {
    match step {
        Step::Create(_) => format!("create {}", step.name()),
        Step::Update { name, patch } => format!("update {name} {patch}"),
        Step::Delete { name, finalizers: None, .. } => format!("delete {name}"),
        Step::Delete { name, finalizers: Some(left), .. } => format!("delete {name} with finalizers [{}]", left.join(", ")),
    }
}

fn settings(given: &Json) -> Settings {
    let word = |field: &str| given[field].as_str().unwrap_or_default();
    let list = |field: &str| given[field].as_array().map(|all| texts(all)).unwrap_or_default();
    Settings {
        policy: Policy::parse(word("policy")).unwrap(),
        policy_override: given["policyOverride"] != false,
        preserved_annotations: list("preservedAnnotations"),
        preserved_labels: list("preservedLabels"),
        ..Settings::default()
    }
}

fn texts(all: &[Json]) -> Vec<String> {
    all.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect()
}

fn cluster(given: &Json) -> Cluster {
    let text = |field: &str| given[field].as_str().unwrap_or_default().to_owned();
    let map = |field: &str| serde_json::from_value(given[field].clone()).unwrap_or_default();
    Cluster {
        name: text("name"),
        server: text("server"),
        project: text("project"),
        labels: map("labels"),
        annotations: map("annotations"),
    }
}

fn compare_apps(found: &[Json], wanted: &Json) -> Vec<String> {
    let wanted = wanted.as_array().cloned().unwrap_or_default();
    let names = |apps: &[Json]| {
        apps.iter().map(|app| app["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    if names(found) != names(&wanted) {
        return vec![format!("applications are {:?}, wanted {:?}", names(found), names(&wanted))];
    }
    let mut problems = Vec::new();
    for (found, wanted) in found.iter().zip(&wanted) {
        differences(found, wanted, found["metadata"]["name"].as_str().unwrap_or_default(), &mut problems);
    }
    problems
}

/// What is written in the expectation must be there; `null` must not.
fn differences(found: &Json, wanted: &Json, path: &str, problems: &mut Vec<String>) {
    match (found, wanted) {
        (Json::Object(found), Json::Object(wanted)) => {
            for (key, value) in wanted {
                differences(found.get(key).unwrap_or(&Json::Null), value, &format!("{path}.{key}"), problems);
            }
        }
        _ if found == wanted => {}
        _ => problems.push(format!("{path} is {found}, wanted {wanted}")),
    }
}

/// Answers as the files say.
fn answer(request: &Request, given: &Json) -> Result<Answer, String> {
    let section = |name: &str| match given[name]["fails"].as_str() {
        Some(text) => Err(text.to_owned()),
        None => Ok(given[name].as_array().cloned().unwrap_or_default()),
    };
    let tree = |repo: &str| {
        section("trees")
            .and_then(|trees| trees.into_iter().find(|tree| tree["repo"] == repo).ok_or_else(|| format!("no repository {repo}")))
    };
    let repository = |wanted: &Repository| {
        section("repositories").map(|all| all.into_iter().find(|one| one["name"] == wanted.name.as_str()).unwrap_or_default())
    };
    Ok(match request {
        Request::GitTree { repo, .. } => {
            let files = tree(repo)?["files"].as_object().cloned().unwrap_or_default();
            Answer::Tree(Tree { commit: "c0ffee".into(), files: files.keys().cloned().collect() })
        }
        Request::GitFile { repo, path, .. } => Answer::File(tree(repo)?["files"][path].as_str().unwrap_or_default().to_owned()),
        Request::Repositories(_) => Answer::Repositories(section("repositories")?.iter().map(as_repository).collect()),
        Request::Branches(_, wanted) => {
            let branches = repository(wanted)?["branches"].as_object().cloned().unwrap_or_default();
            Answer::Branches(
                branches
                    .iter()
                    .map(|(name, branch)| Branch { name: name.clone(), sha: branch["sha"].as_str().unwrap_or_default().into() })
                    .collect(),
            )
        }
        Request::PathExists(_, wanted, branch, path) => {
            let paths = repository(wanted)?["branches"][&branch.name]["paths"].as_array().cloned().unwrap_or_default();
            Answer::Exists(paths.iter().any(|one| one == path.as_str()))
        }
        Request::PullRequests(_) => Answer::PullRequests(section("pullRequests")?.iter().map(as_pull_request).collect()),
        Request::Plugin { .. } => Answer::Parameters(section("plugin")?),
        Request::Decisions(_) => Answer::Decisions(Decisions {
            match_key: given["matchKey"].as_str().unwrap_or_default().to_owned(),
            decisions: section("decisions")?,
        }),
    })
}

fn as_repository(given: &Json) -> Repository {
    let text = |field: &str| given[field].as_str().unwrap_or_default().to_owned();
    Repository {
        organization: text("organization"),
        name: text("name"),
        id: given["id"].as_i64().map_or_else(|| RepositoryId::Text(text("id")), RepositoryId::Number),
        url: text("url"),
        default_branch: "main".into(),
        labels: given["labels"].as_array().map(|all| texts(all)).unwrap_or_default(),
    }
}

fn as_pull_request(given: &Json) -> PullRequest {
    let text = |field: &str| given[field].as_str().unwrap_or_default().to_owned();
    PullRequest {
        number: text("number"),
        title: text("title"),
        branch: text("branch"),
        target_branch: text("targetBranch"),
        head_sha: text("headSha"),
        labels: given["labels"].as_array().map(|all| texts(all)).unwrap_or_default(),
        author: text("author"),
    }
}

#[test]
fn polls_are_the_shortest_of_all_and_zero_is_never() {
    let set = |generators: Json| {
        let spec = json!({ "metadata": { "name": "s" }, "spec": { "generators": generators, "template": {} } });
        serde_json::from_value::<ApplicationSet>(spec).unwrap()
    };
    let after = |generators: Json| requeue_after(&set(generators), Duration::from_secs(180)).map(|after| after.as_secs());
    assert_eq!(after(json!([{ "list": {} }, { "clusters": {} }])), None);
    assert_eq!(after(json!([{ "git": {} }, { "plugin": {} }])), Some(180));
    assert_eq!(after(json!([{ "git": { "requeueAfterSeconds": 0 } }])), None);
    assert_eq!(
        after(
            json!([{ "matrix": { "generators": [{ "git": { "requeueAfterSeconds": 0 } }, { "pullRequest": { "requeueAfterSeconds": 60 } }] } }])
        ),
        Some(60)
    );
    assert_eq!(after(json!([{ "scmProvider": {} }])), Some(1800));
    assert!(uses_generator(&set(json!([{ "matrix": { "generators": [{ "list": {} }, { "clusters": {} }] } }])), "clusters"));
    assert!(!uses_generator(&set(json!([{ "clusterDecisionResource": {} }])), "clusters"));
}
