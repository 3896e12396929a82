//! What the body of a delivery says. Pure.
//!
//! Source: the hosts' own descriptions of their deliveries; which of them count, Argo CD 3.5 (fleet reference 4.2).

use std::collections::BTreeSet;

use serde_json::Value;

use super::delivery::{Headers, Host, Refusal};
use super::{Event, Push};

/// Reads a delivery; `None` for one that tells of nothing that we act on, such as a ping.
///
/// # Errors
/// [`Refusal::Unreadable`] for a body that is no JSON, or lacks what such a delivery has.
pub fn read(host: Host, headers: &impl Headers, body: &[u8]) -> Result<Option<Event>, Refusal> {
    if !counts(host, headers) {
        return Ok(None);
    }
    let unreadable = || Refusal::Unreadable(host);
    let body: Value = serde_json::from_slice(body).map_err(|_| unreadable())?;
    let event = match host {
        Host::Github | Host::Gogs => pushed(&body, &body["repository"]["html_url"], &body["repository"]["default_branch"]),
        Host::Gitlab => match body["object_kind"].as_str().or_else(|| body["event_name"].as_str()) {
            Some("push" | "tag_push") => pushed(&body, &body["project"]["web_url"], &body["project"]["default_branch"]),
            _ => return Ok(None),
        },
        Host::AzureDevOps if body["eventType"] == "git.push" => azure(&body["resource"]),
        Host::BitbucketCloud => bitbucket_cloud(&body),
        Host::BitbucketServer => bitbucket_server(&body),
        Host::Ghcr => return image(&body).ok_or_else(unreadable),
        Host::Generic => generic(&body),
        Host::AzureDevOps => return Ok(None),
    };
    event.map(|push| Some(Event::Push(push))).ok_or_else(unreadable)
}

/// True when the header says that this kind of delivery may tell of a push.
fn counts(host: Host, headers: &impl Headers) -> bool {
    let is = |header: &str, kinds: &[&str]| kinds.contains(&headers.get_text(header));
    match host {
        Host::Github => is("x-github-event", &["push"]),
        Host::Gogs => ["x-gogs-event", "x-gitea-event", "x-forgejo-event"].iter().any(|header| is(header, &["push"])),
        Host::Gitlab => is("x-gitlab-event", &["Push Hook", "Tag Push Hook", "System Hook"]),
        Host::BitbucketCloud => is("x-event-key", &["repo:push"]),
        Host::BitbucketServer => is("x-event-key", &["repo:refs_changed"]),
        Host::AzureDevOps | Host::Ghcr | Host::Generic => true,
    }
}

/// GitHub, GitLab, Gogs and its relatives differ in where they put the URL and the default branch.
fn pushed(body: &Value, url: &Value, default_branch: &Value) -> Option<Push> {
    let revision = short(body["ref"].as_str()?);
    let touched_head = default_branch.as_str() == Some(&revision);
    let commits = body["commits"].as_array().map_or(&[][..], Vec::as_slice);
    let named = |commit: &Value| ["added", "modified", "removed"].map(|kind| commit[kind].clone());
    let files: BTreeSet<String> = commits
        .iter()
        .flat_map(named)
        .filter_map(|list| list.as_array().cloned())
        .flatten()
        .filter_map(|file| file.as_str().map(str::to_owned))
        .collect();
    Some(Push { repositories: vec![text(url)?], revision, touched_head, files: files.into_iter().collect() })
}

fn azure(resource: &Value) -> Option<Push> {
    let name = resource["refUpdates"][0]["name"].as_str()?;
    let touched_head = resource["repository"]["defaultBranch"] == name;
    let url = text(&resource["repository"]["remoteUrl"])?;
    Some(Push { repositories: vec![url], revision: short(name), touched_head, files: Vec::new() })
}

/// Which branch is the default one is not said, so any may be.
fn bitbucket_cloud(body: &Value) -> Option<Push> {
    let change = &body["push"]["changes"][0];
    // A branch that was deleted has only the old side.
    let name = change["new"]["name"].as_str().or_else(|| change["old"]["name"].as_str())?;
    let url = text(&body["repository"]["links"]["html"]["href"])?;
    Some(Push { repositories: vec![url], revision: name.to_owned(), touched_head: true, files: Vec::new() })
}

fn bitbucket_server(body: &Value) -> Option<Push> {
    let change = &body["changes"][0];
    let revision = short(change["refId"].as_str().or_else(|| change["ref"]["id"].as_str())?);
    let links = body["repository"]["links"]["clone"].as_array()?;
    let usable = |link: &&Value| matches!(link["name"].as_str(), Some("http" | "ssh"));
    let repositories: Vec<String> = links.iter().filter(usable).filter_map(|link| text(&link["href"])).collect();
    (!repositories.is_empty()).then_some(Push { repositories, revision, touched_head: true, files: Vec::new() })
}

/// `{"repoURL": "...", "revision": "main", "files": ["a/b.yaml"]}`; without a revision any may have changed.
fn generic(body: &Value) -> Option<Push> {
    let revision = short(body["revision"].as_str().unwrap_or_default());
    let files = body["files"].as_array().into_iter().flatten().filter_map(text).collect();
    Some(Push { repositories: vec![text(&body["repoURL"])?], revision, touched_head: true, files })
}

/// A package of GitHub's registry. The outer `None` is a body that cannot be read.
fn image(body: &Value) -> Option<Option<Event>> {
    let package = &body["package"];
    let is_image = package["package_type"].as_str()?.eq_ignore_ascii_case("container");
    let tag = package["package_version"]["container_metadata"]["tag"]["name"].as_str().unwrap_or_default();
    if body["action"] != "published" || !is_image || tag.is_empty() {
        return Some(None);
    }
    let owner = package["namespace"].as_str().or_else(|| package["owner"]["login"].as_str())?;
    let repository = format!("ghcr.io/{owner}/{}", package["name"].as_str()?);
    Some(Some(Event::Image { repository, tag: tag.to_owned() }))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Drops the first two parts of a full reference name: `refs/heads/a/b` is `a/b`, `main` stays.
fn short(reference: &str) -> String {
    let mut parts = reference.splitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("refs"), Some(_), Some(name)) => name.to_owned(),
        _ => reference.to_owned(),
    }
}
