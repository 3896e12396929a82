//! `git`: folders or files of a repository.

use std::collections::BTreeSet;

use globset::GlobBuilder;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{Generated, Scope, Stop, add_values, part, required};
use crate::appset::gopath;
use crate::appset::inputs::{Answer, Request, Tree};
use crate::appset::params::{Param, Params, flatten, from_object};
use crate::resource::yaml;
use crate::template::normalize;

/// One entry of `directories` or `files`.
#[derive(Debug, Default, Deserialize)]
struct Pattern {
    path: String,
    #[serde(default)]
    exclude: bool,
}

/// Folders when `directories` has entries, else files.
pub fn generate(section: &Json, scope: &Scope<'_>) -> Generated {
    let (directories, files): (Vec<Pattern>, Vec<Pattern>) = (part(section, "directories")?, part(section, "files")?);
    if directories.is_empty() && files.is_empty() {
        return Err(Stop::Failed("one of directories and files is required".to_owned()));
    }
    let repo = required(section, "repoURL")?;
    if !scope.project.is_empty() && !scope.inputs.projects.contains(scope.project) {
        return Err(Stop::Failed(format!("error getting project {}: it does not exist", scope.project)));
    }
    let revision = section.get("revision").and_then(Json::as_str).filter(|revision| !revision.is_empty()).unwrap_or("HEAD");
    let request = Request::GitTree { repo: repo.to_owned(), revision: revision.to_owned(), project: scope.project.to_owned() };
    let Answer::Tree(tree) = scope.ask(request)? else { return Err(unexpected()) };
    let prefix = section.get("pathParamPrefix").and_then(Json::as_str).unwrap_or_default();
    let mut sets = if directories.is_empty() {
        from_files(repo, tree, &files, prefix, scope)?
    } else {
        let chosen = chosen_directories(tree, &directories)?;
        chosen.iter().map(|path| directory_params(path, prefix, scope.renderer.go)).collect()
    };
    sets.iter_mut().try_for_each(|set| add_values(section, set, scope.renderer))?;
    Ok(sets)
}

fn unexpected() -> Stop {
    Stop::Failed("the answer is about something else".to_owned())
}

/// Folders that a pattern names and no exclusion does. Hidden ones and what is in them never are.
fn chosen_directories(tree: &Tree, patterns: &[Pattern]) -> Result<BTreeSet<String>, String> {
    let mut all = BTreeSet::new();
    for file in &tree.files {
        let folders = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut path = String::new();
        for part in folders.split('/').take_while(|part| !part.is_empty() && !part.starts_with('.')) {
            path = if path.is_empty() { part.to_owned() } else { format!("{path}/{part}") };
            all.insert(path.clone());
        }
    }
    let mut chosen = BTreeSet::new();
    for path in all {
        let (mut included, mut excluded) = (false, false);
        for pattern in patterns {
            let matches = gopath::matches(&pattern.path, &path)
                .ok_or_else(|| format!("directories: syntax error in pattern {:?}", pattern.path))?;
            included |= matches && !pattern.exclude;
            excluded |= matches && pattern.exclude;
        }
        if included && !excluded {
            chosen.insert(path);
        }
    }
    Ok(chosen)
}

fn directory_params(path: &str, prefix: &str, go: bool) -> Params {
    let basename = last(path);
    let texts = [("basename", basename.to_owned()), ("basenameNormalized", normalize(basename))];
    place(path, &texts, prefix, go)
}

/// The parameters about a path, in the form of the template mode.
fn place(path: &str, texts: &[(&str, String)], prefix: &str, go: bool) -> Params {
    let segments: Vec<String> = path.split('/').map(str::to_owned).collect();
    if go {
        let mut map: Params = texts.iter().map(|(key, text)| ((*key).to_owned(), Param::from(text.as_str()))).collect();
        map.insert("path".into(), Param::from(path));
        map.insert("segments".into(), Param::Texts(segments));
        let inner = Params::from([("path".to_owned(), Param::Map(map))]);
        return if prefix.is_empty() { inner } else { Params::from([(prefix.to_owned(), Param::Map(inner))]) };
    }
    let name = if prefix.is_empty() { "path".to_owned() } else { format!("{prefix}.path") };
    let mut set = Params::from([(name.clone(), Param::from(path))]);
    set.extend(texts.iter().map(|(key, text)| (format!("{name}.{key}"), Param::from(text.as_str()))));
    let present = segments.into_iter().enumerate().filter(|(_, segment)| !segment.is_empty());
    set.extend(present.map(|(index, segment)| (format!("{name}[{index}]"), Param::Text(segment))));
    set
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn from_files(repo: &str, tree: &Tree, patterns: &[Pattern], prefix: &str, scope: &Scope<'_>) -> Generated {
    let mut sets = Vec::new();
    let mut missing = false;
    for path in chosen_files(tree, patterns, scope.inputs.new_file_globbing)? {
        let request = Request::GitFile {
            repo: repo.to_owned(),
            project: scope.project.to_owned(),
            commit: tree.commit.clone(),
            path: path.clone(),
        };
        match scope.ask(request) {
            Ok(Answer::File(content)) => sets.extend(file_params(&path, content, prefix, scope.renderer.go)?),
            Ok(_) => return Err(unexpected()),
            Err(Stop::Missing) => missing = true,
            Err(stop) => return Err(stop),
        }
    }
    if missing { Err(Stop::Missing) } else { Ok(sets) }
}

fn chosen_files(tree: &Tree, patterns: &[Pattern], new_globbing: bool) -> Result<BTreeSet<String>, String> {
    let (mut included, mut excluded) = (BTreeSet::new(), BTreeSet::new());
    for pattern in patterns {
        let matches = file_matcher(&pattern.path, new_globbing)?;
        let found = tree.files.iter().filter(|file| matches(file)).cloned();
        if pattern.exclude { excluded.extend(found) } else { included.extend(found) }
    }
    included.retain(|path| !excluded.contains(path));
    Ok(included)
}

/// A pattern of files: Git's pathspecs, where `*` crosses `/` and a folder names what is in it; with the new globbing `**`
/// crosses `/` and `*` does not.
fn file_matcher(pattern: &str, new_globbing: bool) -> Result<impl Fn(&str) -> bool, String> {
    // Git knows no alternatives.
    let written = if new_globbing { pattern.to_owned() } else { pattern.replace('{', "[{]").replace('}', "[}]") };
    let glob = GlobBuilder::new(&written)
        .literal_separator(new_globbing)
        .build()
        .map_err(|error| format!("files: {error}"))?
        .compile_matcher();
    let folder = format!("{}/", pattern.trim_end_matches('/'));
    // In a pathspec `**` is `*` twice: `**/x` needs a slash before x.
    let least_slashes = if new_globbing { 0 } else { pattern.matches('/').count() };
    Ok(move |path: &str| {
        let by_glob = glob.is_match(path) && path.matches('/').count() >= least_slashes;
        by_glob || (!new_globbing && path.starts_with(&folder))
    })
}

/// One set for an object, one per element of a list, one for an empty file.
fn file_params(path: &str, content: &str, prefix: &str, go: bool) -> Result<Vec<Params>, String> {
    let unreadable = |problem: String| format!("unable to process file '{path}': unable to parse file: {problem}");
    let objects = match yaml::parse_one(content).map_err(|error| unreadable(error.to_string()))? {
        Json::Null => vec![Json::Object(serde_json::Map::new())],
        Json::Array(items) => items,
        object @ Json::Object(_) => vec![object],
        other => return Err(unreadable(format!("it must hold a map or a list of maps, not {other}"))),
    };
    let (directory, filename) = path.rsplit_once('/').unwrap_or((".", path));
    let basename = last(directory);
    let texts = [
        ("basename", basename.to_owned()),
        ("filename", filename.to_owned()),
        ("basenameNormalized", normalize(basename)),
        ("filenameNormalized", normalize(filename)),
    ];
    let mut sets = Vec::new();
    for object in objects {
        let object =
            object.as_object().ok_or_else(|| unreadable(format!("every element of the list must be a map, not {object}")))?;
        let mut set = from_object(object);
        if !go {
            set = flatten(&set).into_iter().map(|(key, text)| (key, Param::Text(text))).collect();
        }
        set.extend(place(directory, &texts, prefix, go));
        sets.push(set);
    }
    Ok(sets)
}
