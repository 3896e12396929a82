//! Which Applications an event concerns, and which repositories have to be asked because of them. Pure.
//!
//! Source: Argo CD 3.5 (fleet reference 4.2 and 4.3).

use std::collections::BTreeSet;

use kube::api::DynamicObject;
use serde_json::Value;

use super::{Event, Push};
use crate::source::{self, version};

/// Annotation with the paths that an Application is made of, separated by `;`.
const PATHS: &str = "argocd.argoproj.io/manifest-generate-paths";

/// URLs, as Applications write them, of the Git repositories that an event concerns.
pub fn repositories<'a>(push: &Push, apps: impl IntoIterator<Item = &'a DynamicObject>) -> BTreeSet<String> {
    let hit = |app: &DynamicObject| {
        let hit = move |source: &Value| {
            let url = source["repoURL"].as_str().unwrap_or_default();
            let named = push.repositories.iter().any(|web| names(web, url));
            (named && wants(source, push) && touches(app, source, push)).then(|| url.to_owned())
        };
        sources(app).into_iter().filter_map(hit).collect::<Vec<_>>()
    };
    apps.into_iter().flat_map(hit).collect()
}

/// True when an Application reads the image that was pushed.
pub fn reads_image(app: &DynamicObject, event: &Event) -> bool {
    let Event::Image { repository, tag } = event else { return false };
    let comparable = |url: &str| url.trim_start_matches("oci://").trim_end_matches('/').to_lowercase();
    let reads = |source: &Value| {
        let url = comparable(source["repoURL"].as_str().unwrap_or_default());
        let chart = source["chart"].as_str().unwrap_or_default();
        let wanted = source["targetRevision"].as_str().unwrap_or_default();
        let named = url == comparable(repository) || (!chart.is_empty() && format!("{url}/{chart}") == comparable(repository));
        named && (wanted == tag || (version::is_constraint(wanted) && version::satisfies(wanted, tag)))
    };
    sources(app).into_iter().any(reads)
}

/// Every source that an Application names, the dry one of a hydrator included.
fn sources(app: &DynamicObject) -> Vec<&Value> {
    let spec = &app.data["spec"];
    let several = spec["sources"].as_array().into_iter().flatten();
    several.chain([&spec["source"], &spec["sourceHydrator"]["drySource"]]).filter(|source| source.is_object()).collect()
}

/// True when the URL of an Application is that of a repository whose page or clone URL is given: case, scheme, user, port, a
/// host name's `ssh.` in front and `.git` at the end do not matter.
pub fn names(web: &str, url: &str) -> bool {
    let Some((host, path)) = places(web, false) else { return false };
    places(url, true).is_some_and(|(other_host, other_path)| {
        let plain = ["ssh.", "altssh."].iter().find_map(|prefix| other_host.strip_prefix(prefix)).unwrap_or(&other_host);
        path == other_path && (host == other_host || host == plain)
    })
}

/// Host and path of a URL, comparable. `scp` also allows `host:path`.
fn places(url: &str, scp: bool) -> Option<(String, String)> {
    let lower = url.trim().to_lowercase();
    let rest = match lower.split_once("://") {
        Some(("http" | "https" | "ssh", rest)) => rest,
        Some(_) => return None,
        None if scp => &lower,
        None => return None,
    };
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let rest = match rest[..authority_end].rfind('@') {
        Some(at) => &rest[at + 1..],
        None => rest,
    };
    let end = rest.find(['/', ':'])?;
    let (host, tail) = rest.split_at(end);
    let tail = match tail.strip_prefix(':') {
        // A port and then a path, or the path of `scp` at once.
        Some(tail) => {
            let digits = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
            if digits > 0 && tail[digits..].starts_with(['/', ':']) { &tail[digits + 1..] } else { tail }
        }
        None => &tail[1..],
    };
    let path = tail.trim_matches('/');
    Some((host.to_owned(), path.strip_suffix(".git").unwrap_or(path).replace("%20", " ")))
}

/// True when a source follows the reference that was pushed. Branches and tags of one name are not told apart.
fn wants(source: &Value, push: &Push) -> bool {
    let target = source["targetRevision"].as_str().unwrap_or_default();
    let target = ["refs/heads/", "refs/tags/"].iter().find_map(|prefix| target.strip_prefix(prefix)).unwrap_or(target);
    if push.revision.is_empty() {
        return true;
    }
    if target.is_empty() || target == "HEAD" {
        return push.touched_head;
    }
    let prefix = source["tagPrefix"].as_str().unwrap_or_default();
    let pushed = push.revision.strip_prefix(prefix).unwrap_or(&push.revision);
    target == push.revision
        || (version::is_version(target) && target == pushed)
        || (version::is_constraint(target) && version::highest(target, [pushed]).is_some())
}

/// True when a changed file is one that the Application is made of, as far as anybody says.
fn touches(app: &DynamicObject, source: &Value, push: &Push) -> bool {
    let written = app.metadata.annotations.as_ref().and_then(|all| all.get(PATHS)).map_or("", String::as_str);
    let folder = source["path"].as_str().unwrap_or_default();
    let paths: Vec<String> =
        written.split(';').map(str::trim).filter(|path| !path.is_empty()).map(|path| within(folder, path)).collect();
    paths.is_empty() || push.files.is_empty() || paths.iter().any(|path| push.files.iter().any(|file| covers(path, file)))
}

/// A path from the root of the repository: `/x` is from there already, others from the source's folder.
fn within(folder: &str, path: &str) -> String {
    let joined = path.strip_prefix('/').map_or_else(|| format!("{folder}/{path}"), str::to_owned);
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// True for the path itself, what is beneath it, or what it matches as a shell pattern.
fn covers(path: &str, file: &str) -> bool {
    let beneath = file.strip_prefix(path).is_some_and(|rest| path.is_empty() || rest.is_empty() || rest.starts_with('/'));
    beneath
        || globset::GlobBuilder::new(path).literal_separator(true).build().is_ok_and(|glob| glob.compile_matcher().is_match(file))
}

/// True when two spellings name the same repository.
pub fn is_one_of(url: &str, wanted: &BTreeSet<String>) -> bool {
    wanted.iter().any(|one| source::same_repository(one, url))
}
