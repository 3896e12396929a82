//! Kustomize: edits the kustomization as the source asks, finds out what the build reads, runs the real program.

mod build;
mod edit;
mod inputs;

use std::path::PathBuf;

use serde_json::Value;

use crate::api::application::ApplicationSource;
use crate::resource::yaml;
use crate::source::{Entry, EntryKind, SourceTree};

use super::environment::Environment;
use super::program::{self, Kustomize};
use super::sandbox::Rights;
use super::{AppIdentity, Input, Options, RenderError, Tools, detect, directory, place};

pub(super) use build::Build;
use inputs::Inputs;

/// A build that is ready to run.
pub(super) struct Job {
    tree: SourceTree,
    folder: String,
    /// Path of the kustomization file, and its new text when the source changes it.
    file: String,
    edited: Option<String>,
    environment: Environment,
    inputs: Inputs,
    build: Build,
}

/// Looks at a kustomization: what to build, and on what the answer depends.
pub(super) fn prepare(
    source: &ApplicationSource,
    tree: &SourceTree,
    folder: &str,
    app: &AppIdentity,
    environment: &Environment,
    tools: &Tools,
) -> Result<(Job, Vec<Input>), RenderError> {
    let options = source.kustomize.clone().unwrap_or_default();
    let build = Build::new(&options, &app.cluster, tools)?;
    let entry = kustomization_file(tree, folder)?;
    let kustomization = read(tree, &entry)?;
    let edited = edit::apply(&kustomization, &options, environment, &|path| exists(tree, folder, path))?;
    let changed = edited != kustomization;
    let inputs = inputs::find(tree, folder, &edited)?;
    let listed = inputs.listed(tree);
    let text = changed.then(|| yaml::to_yaml(&edited));
    let job = Job {
        tree: tree.clone(),
        folder: folder.to_owned(),
        file: entry.path,
        edited: text,
        environment: environment.clone(),
        inputs,
        build,
    };
    Ok((job, listed))
}

/// Fields that ask for something that has no effect.
pub(super) fn warnings(source: &ApplicationSource) -> Vec<String> {
    source.kustomize.as_ref().map(|options| super::unknown_fields("kustomize", &options.extra)).unwrap_or_default()
}

fn kustomization_file(tree: &SourceTree, folder: &str) -> Result<Entry, RenderError> {
    let names = detect::KUSTOMIZATION_NAMES;
    let files = tree.list(folder, false)?;
    let mut found: Vec<Entry> = files
        .into_iter()
        .filter(|entry| names.contains(&detect::file_name(entry)) && entry.kind != EntryKind::Directory)
        .collect();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(RenderError::option("path", format!("`{folder}` has no {}", names.join(", ")))),
        _ => Err(RenderError::option("path", format!("`{folder}` has several kustomization files"))),
    }
}

/// Reads a kustomization file; an empty one is an empty map.
fn read(tree: &SourceTree, entry: &Entry) -> Result<Value, RenderError> {
    let invalid = |line, problem| RenderError::InvalidManifest { origin: entry.path.clone(), line, problem };
    let followed = match tree.follow(entry)? {
        crate::source::Followed::To(file) => file,
        crate::source::Followed::Missing => return Err(invalid(1, "the link leads to nothing".into())),
    };
    let text = directory::decode(&entry.path, tree.read(&followed)?)?;
    match yaml::parse_one(&text).map_err(|error| invalid(error.line, error.problem))? {
        Value::Null => Ok(Value::Object(serde_json::Map::new())),
        map @ Value::Object(_) => Ok(map),
        _ => Err(invalid(1, "the kustomization is no map".into())),
    }
}

/// True when a path relative to the kustomization exists in the repository.
fn exists(tree: &SourceTree, folder: &str, path: &str) -> Result<bool, RenderError> {
    match tree.entry(&format!("{folder}/{path}")) {
        Ok(entry) => Ok(entry.is_some()),
        Err(crate::source::SourceError::PathOutside { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl Job {
    /// With which program and options it builds.
    pub(super) const fn command(&self) -> &Build {
        &self.build
    }

    /// True when a part of it lies on another machine, so that nothing here tells whether it changed.
    pub(super) const fn remote(&self) -> bool {
        self.inputs.remote()
    }

    /// What the answer depends on besides the inputs: the edited kustomization, the options of the build, and the environment if
    /// the build can see it.
    pub(super) fn fingerprint(&self) -> String {
        let mut text = format!("{}\0{}\0", self.folder, self.edited.as_deref().unwrap_or_default());
        self.build.arguments.iter().for_each(|argument| text.push_str(&format!("{argument}\0")));
        if self.inputs.may_use_environment() {
            for (name, value) in &self.environment.0 {
                text.push_str(&format!("{name}={value}\0"));
            }
        }
        text
    }

    /// Checks out what is read, builds it, and returns the output.
    ///
    /// Should the build fail, everything is checked out and it is tried once more: were the inputs misjudged, the user must
    /// not see an error about a file that is in the repository.
    pub(super) async fn run(&self, kustomize: &Kustomize, options: &Options) -> Result<String, RenderError> {
        let Some(paths) = self.inputs.paths() else {
            return self.build(kustomize, options, None).await;
        };
        match self.build(kustomize, options, Some(paths)).await {
            Err(RenderError::ProgramFailed { .. }) => self.build(kustomize, options, None).await,
            other => other,
        }
    }

    async fn build(&self, kustomize: &Kustomize, options: &Options, only: Option<Vec<String>>) -> Result<String, RenderError> {
        let (file, edited) = (self.file.clone(), self.edited.clone());
        let place = place::check_out(&self.tree, only, options, move |checkout, _| {
            let Some(text) = edited else { return Ok(()) };
            let path = checkout.join(file);
            // A link would lead the new text into another file.
            let _ = std::fs::remove_file(&path);
            std::fs::write(path, text)
        })
        .await?;
        let environment: Vec<(&str, &str)> = self.environment.0.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (checkout, home) = (place::checkout(&place), place::home(&place));
        let helm = if self.build.inflates_charts { program::helm(options) } else { None };
        let mut arguments = self.build.arguments.clone();
        if let Some(helm) = &helm {
            arguments.push(format!("--helm-command={}", helm.display()));
        }
        let rights = Rights {
            place: place.path(),
            programs: &helm.iter().map(PathBuf::as_path).collect::<Vec<_>>(),
            network: self.remote(),
        };
        let command = program::KustomizeBuild { checkout: &checkout, folder: &self.folder, home: &home, arguments: &arguments };
        kustomize.build(&command, &environment, &rights, options).await
    }
}
