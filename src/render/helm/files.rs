//! Value files: which files a Helm source names, in the order in which they count.
//!
//! Source: Argo CD 3.5 (reference section 1.8): relative to the chart, `/` is the root of the repository, `$name/` that of another
//! source, globs in lexical order at their place; a file that is named keeps its place although a glob matches it as well.

use std::collections::BTreeSet;

use crate::source::{Entry, EntryKind, Followed, SourceError, SourceTree, clean_path};

use super::super::environment::Environment;
use super::super::{Input, RenderError};
use super::references::{self, References};

/// One file that Helm is told to read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub(super) enum File {
    /// Of the source itself: path from its root.
    Own(String),
    /// Of another source: its name, the path from its root.
    Of(String, String),
    /// Downloaded.
    Url(String),
}

/// Where files are looked for.
pub(super) struct Finder<'a> {
    pub(super) tree: &'a SourceTree,
    pub(super) chart: &'a str,
    pub(super) environment: &'a Environment,
    pub(super) references: &'a References,
    /// What the answers depend on.
    pub(super) inputs: Vec<Input>,
    /// True when a link was followed, so that the paths alone do not say what is read.
    pub(super) linked: bool,
}

impl Finder<'_> {
    /// Finds value files.
    pub(super) fn values(&mut self, named: &[String], ignore_missing: bool) -> Result<Vec<File>, RenderError> {
        const FIELD: &str = "helm.valueFiles";
        let resolved: Vec<File> = named.iter().map(|name| self.file(name, FIELD)).collect::<Result<_, _>>()?;
        let explicit: BTreeSet<&File> = resolved.iter().filter(|file| !file.is_glob()).collect();
        let mut found = Vec::new();
        for file in &resolved {
            if file.is_glob() {
                let matches = self.matching(file, FIELD)?;
                if matches.is_empty() && !ignore_missing {
                    return Err(RenderError::option(FIELD, format!("no file matches `{file}`")));
                }
                for one in matches {
                    if !explicit.contains(&one) && !found.contains(&one) {
                        found.push(one);
                    }
                }
            } else if self.exists(file, FIELD)? {
                found.push(file.clone());
            } else if !ignore_missing {
                return Err(missing(FIELD, file));
            }
        }
        Ok(found)
    }

    /// Finds the file of a file parameter.
    pub(super) fn parameter(&mut self, name: &str) -> Result<File, RenderError> {
        const FIELD: &str = "helm.fileParameters";
        let file = self.file(name, FIELD)?;
        if self.exists(&file, FIELD)? { Ok(file) } else { Err(missing(FIELD, &file)) }
    }

    fn file(&self, name: &str, field: &str) -> Result<File, RenderError> {
        if let Some((reference, path)) = references::split(name)
            && (self.references.contains_key(reference) || !self.environment.0.contains_key(reference))
            && !reference.starts_with('{')
        {
            references::find(self.references, reference, field)?;
            let path = clean_path(&self.environment.substitute(path)).map_err(|_| outside(field, name))?;
            return Ok(File::Of(reference.to_owned(), path));
        }
        let name = self.environment.substitute(name);
        if name.starts_with("https://") || name.starts_with("http://") {
            return Ok(File::Url(name));
        }
        let path = match name.strip_prefix('/') {
            Some(from_root) => from_root.to_owned(),
            None => format!("{}/{name}", self.chart),
        };
        clean_path(&path).map(File::Own).map_err(|_| outside(field, &name))
    }

    /// Notes a file as an input; false when there is none.
    fn exists(&mut self, file: &File, field: &str) -> Result<bool, RenderError> {
        let Some((tree, path)) = self.place(file, field)? else { return Ok(true) };
        let entry = tree.entry(&path)?;
        let target = match &entry {
            Some(entry) => follow(&tree, entry)?,
            None => None,
        };
        let is_link = entry.as_ref().is_some_and(|entry| entry.kind == EntryKind::Symlink);
        self.linked |= is_link && matches!(file, File::Own(_));
        // What a link leads to in another source is written as a file, so its content is the input.
        let seen = if is_link && !matches!(file, File::Own(_)) { &target } else { &entry };
        self.inputs.push(Input { path: file.to_string(), id: seen.as_ref().map(|entry| entry.id.clone()) });
        Ok(target.is_some())
    }

    /// Files that a glob matches, in lexical order. The folder above the first wildcard is the input: a new file may match.
    fn matching(&mut self, file: &File, field: &str) -> Result<Vec<File>, RenderError> {
        let Some((tree, pattern)) = self.place(file, field)? else { return Ok(vec![file.clone()]) };
        let glob = globset::GlobBuilder::new(&pattern)
            .literal_separator(true)
            .build()
            .map_err(|error| RenderError::option(field, format!("`{file}`: {}", error.kind())))?
            .compile_matcher();
        let plain = &pattern[..pattern.find(WILDCARDS).unwrap_or(pattern.len())];
        let folder = plain.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.inputs.push(Input { path: file.with_path(folder).to_string(), id: tree.id_of(folder)? });
        let entries = match tree.list(folder, true) {
            Ok(entries) => entries,
            Err(SourceError::PathMissing { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut found = Vec::new();
        for entry in entries.into_iter().filter(|entry| glob.is_match(&entry.path)) {
            let one = file.with_path(&entry.path);
            if self.exists(&one, field)? {
                found.push(one);
            }
        }
        Ok(found)
    }

    /// The files among which one is, and its path there; `None` for a download.
    fn place(&self, file: &File, field: &str) -> Result<Option<(SourceTree, String)>, RenderError> {
        Ok(match file {
            File::Own(path) => Some((self.tree.clone(), path.clone())),
            File::Of(name, path) => Some((references::find(self.references, name, field)?.clone(), path.clone())),
            File::Url(_) => None,
        })
    }
}

/// What starts a wildcard.
const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];

impl File {
    /// Braces alone make no glob, for upstream does not look for them.
    fn is_glob(&self) -> bool {
        match self {
            Self::Own(path) | Self::Of(_, path) => path.contains(['*', '?', '[']),
            Self::Url(_) => false,
        }
    }

    fn with_path(&self, path: &str) -> Self {
        match self {
            Self::Of(name, _) => Self::Of(name.clone(), path.to_owned()),
            Self::Own(_) | Self::Url(_) => Self::Own(path.to_owned()),
        }
    }
}

impl std::fmt::Display for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Own(path) | Self::Url(path) => f.write_str(path),
            Self::Of(name, path) => write!(f, "${name}/{path}"),
        }
    }
}

/// The file that an entry is or leads to.
pub(super) fn follow(tree: &SourceTree, entry: &Entry) -> Result<Option<Entry>, RenderError> {
    Ok(match tree.follow(entry)? {
        Followed::To(target) if matches!(target.kind, EntryKind::File | EntryKind::Executable) => Some(target),
        Followed::To(_) | Followed::Missing => None,
    })
}

fn missing(field: &str, file: &File) -> RenderError {
    RenderError::option(field, format!("there is no file `{file}` in the repository"))
}

fn outside(field: &str, name: &str) -> RenderError {
    RenderError::option(field, format!("`{name}` leads out of the repository"))
}
