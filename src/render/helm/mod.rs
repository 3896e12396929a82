//! Helm: finds what a chart reads, writes the values of the source into private files, runs the real program.
//!
//! Parameters reach Helm as arguments, because its own parser of `--set` decides their types and nothing else does it exactly. They
//! are part of the Application and no secrets.
//!
//! Source: Argo CD 3.5 Helm sources (reference section 1.8).

mod chart;
mod dependencies;
mod files;
mod options;
mod references;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::resource::yaml;
use crate::source::{Charts, SourceTree};

use super::environment::Environment;
use super::program::{HELM_TEMPLATE, Helm};
use super::{Input, Options, RenderError, Request, place};

use chart::Chart;
use dependencies::{Dependency, Resolved};
use files::{File, Finder};
use options::HelmOptions;
pub(super) use options::plain_version;

pub use references::{Reference, References};

/// A chart that is ready to be rendered.
pub(super) struct Job {
    tree: SourceTree,
    folder: String,
    chart: Chart,
    /// What is checked out; everything when absent.
    paths: Option<Vec<String>>,
    references: References,
    project: String,
    release: String,
    leading: Vec<String>,
    /// Name and file of file parameters.
    file_parameters: Vec<(String, File)>,
    value_files: Vec<File>,
    inline_values: Option<String>,
    trailing: Vec<String>,
    dependencies: Vec<Resolved>,
    /// URL and content of value files from elsewhere.
    downloads: Vec<(String, Vec<u8>)>,
}

/// Looks at a chart: how to render it, on what the answer depends, and what the user should know.
pub(super) fn prepare(
    request: &Request<'_>,
    folder: &str,
    environment: &Environment,
) -> Result<(Job, Vec<Input>, Vec<String>), RenderError> {
    let Request { source, tree, app, references, .. } = *request;
    let options = HelmOptions::of(source)?;
    let chart = chart::walk(tree, folder)?;
    let mut finder = Finder { tree, chart: folder, environment, references, inputs: Vec::new(), linked: false };
    let value_files = finder.values(&options.value_files, options.ignore_missing_value_files)?;
    let mut file_parameters = Vec::new();
    for parameter in &options.file_parameters {
        file_parameters.push((parameter.name.clone(), finder.parameter(&parameter.path)?));
    }
    let files = || value_files.iter().chain(file_parameters.iter().map(|(_, file)| file));
    let named = files().filter_map(|file| if let File::Of(name, _) = file { Some(name.as_str()) } else { None });
    references::check((&source.repo_url, tree), references, named)?;
    let Finder { mut inputs, linked, .. } = finder;
    let paths = if chart.has_links || linked {
        // A link may lead anywhere in the repository.
        inputs.retain(|input| input.path.starts_with('$'));
        inputs.push(Input { path: String::new(), id: Some(tree.root_id()) });
        None
    } else {
        for folder in &chart.folders {
            inputs.push(Input { path: folder.clone(), id: tree.id_of(folder)? });
        }
        let own = files().filter_map(|file| if let File::Own(path) = file { Some(path) } else { None });
        Some(chart.folders.iter().chain(own).cloned().collect())
    };
    inputs.sort();
    inputs.dedup();
    let mut warnings = super::unknown_fields("helm", &options.extra);
    warnings.extend(chart.warnings.iter().cloned());
    let job = Job {
        tree: tree.clone(),
        folder: folder.to_owned(),
        paths,
        references: references.clone(),
        project: app.project.clone(),
        release: options.release_name(app).to_owned(),
        leading: options.leading_arguments(app, environment),
        file_parameters,
        value_files,
        inline_values: options.inline_values(),
        trailing: options.trailing_arguments(app),
        chart,
        dependencies: Vec::new(),
        downloads: Vec::new(),
    };
    Ok((job, inputs, warnings))
}

impl Job {
    /// Finds out what the answer depends on elsewhere: versions of dependencies, value files with a URL.
    pub(super) async fn complete(&mut self, charts: Option<&Charts>) -> Result<(), RenderError> {
        self.dependencies = dependencies::resolve(&self.chart.missing.remote, charts, &self.project).await?;
        let files = self.value_files.iter().chain(self.file_parameters.iter().map(|(_, file)| file));
        for file in files {
            let File::Url(url) = file else { continue };
            let Some(charts) = charts else {
                return Err(RenderError::NotSupportedYet {
                    what: "a value file from a URL here".into(),
                    instead: "commit the file to the repository".into(),
                });
            };
            self.downloads.push((url.clone(), charts.file(url).await?));
        }
        Ok(())
    }

    /// What the answer depends on besides the inputs.
    pub(super) fn fingerprint(&self) -> String {
        let dependencies: Vec<_> = self.dependencies.iter().map(|one| (&one.name, one.origin.place(), &one.version)).collect();
        let what = (
            (&self.folder, &self.release, &self.leading, &self.file_parameters),
            (&self.value_files, &self.inline_values, &self.trailing),
            (dependencies, &self.downloads),
        );
        serde_json::to_string(&what).expect("strings and lists of strings are JSON")
    }

    /// What changes in every render, found in the templates.
    pub(super) async fn warnings(&self, charts: Option<&Charts>) -> Result<Vec<String>, RenderError> {
        let mut looked_at = vec![(String::new(), self.tree.clone(), self.chart.folders.clone())];
        for Resolved { name, version, origin } in &self.dependencies {
            let Some(charts) = charts else { continue };
            let failed = |error| RenderError::Dependency { name: name.clone(), error };
            let tree = charts.tree(origin, version).await.map_err(failed)?;
            looked_at.push((format!("{name} {version}: "), tree, vec![String::new()]));
        }
        super::blocking(move || {
            let mut warnings = Vec::new();
            for (of, tree, folders) in looked_at {
                warnings.extend(chart::changing_templates(&tree, &folders, &of)?);
            }
            Ok(warnings)
        })
        .await
    }

    /// Checks out what is read, brings the dependencies into the chart, renders it, and returns the output.
    pub(super) async fn run(&self, helm: &Helm, options: &Options, charts: Option<&Charts>) -> Result<String, RenderError> {
        let written = self.written()?;
        let place = place::check_out(&self.tree, self.paths.clone(), options, move |_, home| {
            for (path, content) in written {
                let path = home.join(path);
                path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
                std::fs::write(path, content)?;
            }
            Ok(())
        })
        .await?;
        let (checkout, home) = (place::checkout(&place), place::home(&place));
        self.bring_local(helm, options, &checkout, &home).await?;
        self.bring_remote(charts, &checkout).await?;
        let folder = checkout.join(&self.folder);
        helm.run(HELM_TEMPLATE, &folder, &checkout, &home, &self.arguments(&checkout, &home), options).await
    }

    /// Files of the render itself, by their path in the home: inline values, and what comes from elsewhere.
    fn written(&self) -> Result<Vec<(PathBuf, Vec<u8>)>, RenderError> {
        let mut written: Vec<(PathBuf, Vec<u8>)> = Vec::new();
        if let Some(text) = &self.inline_values {
            written.push((INLINE.into(), text.clone().into_bytes()));
        }
        for file in self.value_files.iter().chain(self.file_parameters.iter().map(|(_, file)| file)) {
            let content = match file {
                File::Own(_) => continue,
                File::Of(name, path) => {
                    let tree = references::find(&self.references, name, "helm.valueFiles")?;
                    let entry = tree.entry(path)?.ok_or_else(|| tree.missing(path))?;
                    let target = files::follow(tree, &entry)?.ok_or_else(|| tree.missing(path))?;
                    tree.read(&target)?
                }
                File::Url(url) => {
                    let found = self.downloads.iter().find(|(known, _)| known == url);
                    found.map(|(_, content)| content.clone()).unwrap_or_default()
                }
            };
            written.push((self.elsewhere(file), content));
        }
        Ok(written)
    }

    /// Where a file from elsewhere lies in the home.
    fn elsewhere(&self, file: &File) -> PathBuf {
        match file {
            File::Own(path) => path.into(),
            File::Of(name, path) => Path::new("sources").join(name).join(path),
            File::Url(url) => {
                let at = self.downloads.iter().position(|(known, _)| known == url).unwrap_or_default();
                Path::new("downloads").join(at.to_string()).join("values.yaml")
            }
        }
    }

    /// Has Helm pack the charts of other folders, in a chart of its own that depends on nothing else: so it asks no repository and
    /// leaves alone what the chart holds already.
    async fn bring_local(&self, helm: &Helm, options: &Options, checkout: &Path, home: &Path) -> Result<(), RenderError> {
        if self.chart.missing.local.is_empty() {
            return Ok(());
        }
        let entry = |(one, folder): &(Dependency, String)| {
            let repository = format!("file://{}", checkout.join(folder).display());
            let mut entry = json!({ "name": one.name, "version": one.version, "repository": repository });
            if !one.alias.is_empty() {
                entry["alias"] = json!(one.alias);
            }
            entry
        };
        let dependencies: Vec<_> = self.chart.missing.local.iter().map(entry).collect();
        let chart = json!({ "apiVersion": "v2", "name": "dependencies", "version": "0.0.0", "dependencies": dependencies });
        let build = home.join("dependencies");
        std::fs::create_dir_all(&build).map_err(RenderError::machine)?;
        std::fs::write(build.join("Chart.yaml"), yaml::to_yaml(&chart)).map_err(RenderError::machine)?;
        let arguments = ["dependency", "build", "."].map(str::to_owned);
        helm.run("helm dependency build", &build, checkout, home, &arguments, options).await?;
        let charts = self.charts_folder(checkout)?;
        for entry in std::fs::read_dir(build.join("charts")).map_err(RenderError::machine)?.flatten() {
            std::fs::copy(entry.path(), charts.join(entry.file_name())).map_err(RenderError::machine)?;
        }
        Ok(())
    }

    async fn bring_remote(&self, charts: Option<&Charts>, checkout: &Path) -> Result<(), RenderError> {
        let Some(charts) = charts else { return Ok(()) };
        for Resolved { name, version, origin } in &self.dependencies {
            let failed = |error| RenderError::Dependency { name: name.clone(), error };
            let content = charts.archive(origin, version).await.map_err(failed)?;
            let file = self.charts_folder(checkout)?.join(format!("{}-{version}.tgz", name.replace('/', "-")));
            tokio::fs::write(file, content).await.map_err(RenderError::machine)?;
        }
        Ok(())
    }

    /// The `charts/` folder in the checkout. A link in its place would lead what is written there elsewhere.
    fn charts_folder(&self, checkout: &Path) -> Result<PathBuf, RenderError> {
        let folder = checkout.join(&self.folder).join("charts");
        if folder.is_symlink() {
            return Err(RenderError::option(
                "path",
                format!("`{}/charts` is a symbolic link, and dependencies have to go there", self.folder),
            ));
        }
        std::fs::create_dir_all(&folder).map_err(RenderError::machine)?;
        Ok(folder)
    }

    /// The command line, in upstream's order.
    fn arguments(&self, checkout: &Path, home: &Path) -> Vec<String> {
        let at = |file: &File| match file {
            File::Own(path) => checkout.join(path).display().to_string(),
            File::Of(..) | File::Url(_) => home.join(self.elsewhere(file)).display().to_string(),
        };
        let mut arguments = vec!["template".to_owned()];
        arguments.extend(self.leading.iter().cloned());
        for (name, file) in &self.file_parameters {
            arguments.extend(["--set-file".into(), format!("{name}={}", options::escape_commas(&at(file)))]);
        }
        for file in &self.value_files {
            arguments.extend(["--values".into(), at(file)]);
        }
        if self.inline_values.is_some() {
            arguments.extend(["--values".into(), home.join(INLINE).display().to_string()]);
        }
        arguments.extend(self.trailing.iter().cloned());
        // A name that begins with a dash is still a name.
        arguments.extend(["--".into(), self.release.clone(), ".".into()]);
        arguments
    }
}

/// File with the values that the Application itself has.
const INLINE: &str = "values.yaml";
