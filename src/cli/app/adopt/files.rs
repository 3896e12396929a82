//! The files that an Application's source names, with edits that are not written yet.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::api::application::ApplicationSource;
use crate::cli::Failure;
use crate::cli::app::App;
use crate::cli::worktree::NewFile;
use crate::resource::yaml::{self, Edit, EditError};
use crate::source::same_repository;
use serde_json::Value;

/// Manifests above this size are not edited by hand either.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Files of one folder of a work tree, by path from its top.
#[derive(Clone)]
pub struct Files {
    top: PathBuf,
    /// The folder of the source.
    pub folder: String,
    present: BTreeMap<String, String>,
    wanted: BTreeMap<String, String>,
}

/// The one source of the Application that comes from this repository.
pub fn source_here(app: &App, remotes: &[String]) -> Result<ApplicationSource, Failure> {
    let is_here = |source: &&&ApplicationSource| remotes.iter().any(|remote| same_repository(remote, &source.repo_url));
    let sources = app.app.sources();
    let here: Vec<&&ApplicationSource> = sources.iter().filter(is_here).collect();
    match here.as_slice() {
        [source] if sources.len() == 1 && source.chart.is_empty() => Ok((**source).clone()),
        [_] => Err(Failure::new(format!("{} has several sources; only one can be edited", app.full_name()))),
        [] => {
            let urls = app.sources(|source| source.repo_url.clone());
            Err(Failure::new(format!("the work tree is not of {urls}, where {} comes from", app.full_name()))
                .with_hint(format!("git clone {urls}, then --repo DIR")))
        }
        _ => Err(Failure::new(format!("{} has several sources from this repository", app.full_name()))),
    }
}

impl Files {
    /// Reads the YAML and JSON files of a folder and below.
    pub fn read(top: &Path, folder: &str) -> Result<Self, Failure> {
        let folder = folder.trim_matches('/').trim_start_matches("./").to_owned();
        let mut present = BTreeMap::new();
        collect(top, &top.join(&folder), &mut present)
            .map_err(|error| Failure::new(format!("cannot read {folder}")).with_cause(&error))?;
        Ok(Self { top: top.to_owned(), folder, present, wanted: BTreeMap::new() })
    }

    /// Each file as it shall be.
    pub fn texts(&self) -> BTreeMap<String, String> {
        let mut texts = self.present.clone();
        texts.extend(self.wanted.clone());
        texts
    }

    /// A file as it shall be.
    pub fn text(&self, path: &str) -> Option<&String> {
        self.wanted.get(path).or_else(|| self.present.get(path))
    }

    /// Path from the top of a file in the source's folder.
    pub fn in_folder(&self, name: &str) -> String {
        if self.folder.is_empty() || self.folder == "." { name.to_owned() } else { format!("{}/{name}", self.folder) }
    }

    /// Changes one document of a file, comments kept.
    pub fn change(&mut self, path: &str, number: usize, wanted: Value) -> Result<(), EditError> {
        let text = self.text(path).cloned().unwrap_or_default();
        let documents = yaml::parse_stream(&text)?;
        let Some(document) = documents.get(number) else { return Ok(()) };
        let edited = yaml::edit(&text, &[Edit { span: document.span.clone(), wanted }])?;
        self.wanted.insert(path.to_owned(), edited);
        Ok(())
    }

    /// Gives a file another text.
    pub fn put(&mut self, path: String, text: String) {
        self.wanted.insert(path, text);
    }

    /// The files that shall have another content.
    pub fn changed(&self) -> Vec<NewFile> {
        let differs = |(path, text): &(&String, &String)| self.present.get(*path) != Some(text);
        let new = |(path, text): (&String, &String)| NewFile { path: path.clone(), content: Some(text.clone().into_bytes()) };
        self.wanted.iter().filter(differs).map(new).collect()
    }

    /// Writes them into the work tree.
    pub fn write(&self) -> Result<(), Failure> {
        for file in self.changed() {
            let path = self.top.join(&file.path);
            let written = fs::write(&path, file.content.unwrap_or_default());
            written.map_err(|error| Failure::new(format!("cannot write {}", path.display())).with_cause(&error))?;
        }
        Ok(())
    }
}

fn collect(top: &Path, folder: &Path, found: &mut BTreeMap<String, String>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        // Links are left alone: what they lead to may be in another source.
        if kind.is_dir() && entry.file_name() != ".git" {
            collect(top, &path, found)?;
        } else if kind.is_file() && is_manifest(&path) && entry.metadata()?.len() <= MAX_FILE_BYTES {
            let name = path.strip_prefix(top).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            found.extend(fs::read_to_string(&path).ok().map(|text| (name, text)));
        }
    }
    Ok(())
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml" || ending == "json")
        || path.ends_with("Kustomization")
}
