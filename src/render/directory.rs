//! Plain directories: the manifests are the files.
//!
//! Source: Argo CD 3.5 directory sources (reference section 1.6).

use crate::api::application::Directory;
use crate::resource::Object;
use crate::source::{Entry, EntryKind, Followed, SourceTree, clean_path};

use super::glob::Glob;
use super::{Input, RenderError, detect, manifests};

/// Combined size of the manifests of one directory; `reposerver.max.combined.directory.manifests.size` of Argo CD.
pub const MAX_COMBINED_BYTES: usize = 10_000_000;
/// A file that contains this is passed over.
const SKIP_MARKER: &str = "+argocd:skip-file-rendering";

/// What a directory gives.
pub(super) struct Found {
    pub(super) objects: Vec<Object>,
    pub(super) warnings: Vec<String>,
}

/// Reads the manifests of a directory.
pub(super) fn render(tree: &SourceTree, path: &str, options: &Directory) -> Result<Found, RenderError> {
    let filter = Filter::new(options)?;
    let folder = clean_path(path)?;
    let mut found = Found { objects: Vec::new(), warnings: Vec::new() };
    let mut combined_bytes = 0;
    for entry in tree.list(&folder, options.recurse)? {
        if matches!(entry.kind, EntryKind::Directory | EntryKind::Submodule)
            || !filter.wants(detect::file_name(&entry), relative(&entry, &folder))
        {
            continue;
        }
        let Some(file) = follow(tree, &entry, &mut found.warnings)? else { continue };
        let is_jsonnet = entry.path.ends_with(".jsonnet");
        if !is_jsonnet {
            combined_bytes += tree.size(&file)?;
        }
        if combined_bytes > MAX_COMBINED_BYTES as u64 {
            return Err(RenderError::TooLarge { path: path.to_owned(), limit_bytes: MAX_COMBINED_BYTES });
        }
        let bytes = tree.read(&file)?;
        if is_jsonnet {
            if contains_marker(&bytes) {
                continue;
            }
            return Err(RenderError::NotSupportedYet {
                what: format!("jsonnet (`{}`)", entry.path),
                instead: "commit the rendered manifests, or leave the file out with spec.source.directory.exclude".into(),
            });
        }
        let text = decode(&entry.path, bytes)?;
        if !text.contains(SKIP_MARKER) {
            let parse = if entry.path.ends_with(".json") { manifests::from_json_file } else { manifests::from_yaml_file };
            found.objects.extend(manifests::finish(parse(&entry.path, &text)?, &entry.path)?);
        }
    }
    Ok(found)
}

/// What the answer depends on: the whole folder when it is walked, else the files of it that are read; and the files elsewhere
/// that links lead to.
pub(super) fn inputs(tree: &SourceTree, folder: &str, options: &Directory) -> Result<Vec<Input>, RenderError> {
    let filter = Filter::new(options)?;
    let input = |entry: &Entry| Input { path: entry.path.clone(), id: Some(entry.id.clone()) };
    let mut inputs = Vec::new();
    if options.recurse {
        inputs.extend(tree.entry(folder)?.as_ref().map(input));
    }
    for entry in tree.list(folder, options.recurse)? {
        if !filter.wants(detect::file_name(&entry), relative(&entry, folder)) {
            continue;
        }
        if !options.recurse {
            inputs.push(input(&entry));
        }
        if entry.kind == EntryKind::Symlink
            && let Followed::To(target) = tree.follow(&entry)?
        {
            inputs.push(input(&target));
        }
    }
    Ok(inputs)
}

fn relative<'e>(entry: &'e Entry, folder: &str) -> &'e str {
    entry.path.strip_prefix(folder).unwrap_or(&entry.path).trim_start_matches('/')
}

/// The file behind an entry; a link to nothing or to a folder is passed over with a warning.
fn follow(tree: &SourceTree, entry: &Entry, warnings: &mut Vec<String>) -> Result<Option<Entry>, RenderError> {
    let problem = match tree.follow(entry)? {
        Followed::To(file) if matches!(file.kind, EntryKind::File | EntryKind::Executable) => return Ok(Some(file)),
        Followed::To(_) => "leads to no file",
        Followed::Missing => "leads to nothing",
    };
    warnings.push(format!("symbolic link `{}` {problem} and is passed over", entry.path));
    Ok(None)
}

struct Filter {
    include: Option<Glob>,
    exclude: Option<Glob>,
}

impl Filter {
    fn new(options: &Directory) -> Result<Self, RenderError> {
        let glob = |field: &str, pattern: &str| {
            if pattern.is_empty() {
                return Ok(None);
            }
            Glob::parse(pattern).map(Some).map_err(|problem| {
                RenderError::option(format!("directory.{field}"), format!("`{pattern}` is no glob: {problem}"))
            })
        };
        Ok(Self { include: glob("include", &options.include)?, exclude: glob("exclude", &options.exclude)? })
    }

    fn wants(&self, name: &str, relative: &str) -> bool {
        [".yaml", ".yml", ".json", ".jsonnet"].iter().any(|extension| name.ends_with(extension))
            && !self.exclude.as_ref().is_some_and(|glob| glob.matches(relative))
            && self.include.as_ref().is_none_or(|glob| glob.matches(relative))
    }
}

fn contains_marker(bytes: &[u8]) -> bool {
    bytes.windows(SKIP_MARKER.len()).any(|window| window == SKIP_MARKER.as_bytes())
}

/// Text of a file: UTF-16 when a byte order mark says so, else UTF-8.
pub(super) fn decode(path: &str, bytes: Vec<u8>) -> Result<String, RenderError> {
    let utf16 = |unit: fn([u8; 2]) -> u16| {
        let units = bytes[2..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        char::decode_utf16(units).collect::<Result<String, _>>().map_err(|_| not_text(path, "UTF-16"))
    };
    match bytes.as_slice() {
        [0xff, 0xfe, ..] => utf16(u16::from_le_bytes),
        [0xfe, 0xff, ..] => utf16(u16::from_be_bytes),
        _ => String::from_utf8(bytes).map_err(|_| not_text(path, "UTF-8")),
    }
}

fn not_text(path: &str, encoding: &str) -> RenderError {
    RenderError::InvalidManifest { origin: path.to_owned(), line: 1, problem: format!("the file is no {encoding} text") }
}
