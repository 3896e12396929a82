//! Helm: finds what a chart reads, writes the values of the source into private files, runs the real program.
//!
//! Source: Argo CD 3.5 Helm sources (reference section 1.8).

mod chart;
mod files;
mod options;

use std::path::Path;

use crate::api::application::ApplicationSource;
use crate::source::SourceTree;

use super::environment::Environment;
use super::program::Helm;
use super::{AppIdentity, Input, Options, RenderError, place};

use chart::Chart;
use options::HelmOptions;
pub(super) use options::plain_version;

/// What Helm says of a chart whose dependencies lie elsewhere.
const MISSING_DEPENDENCY: &str = "missing in charts/";

/// A chart that is ready to be rendered.
pub(super) struct Job {
    tree: SourceTree,
    folder: String,
    chart: Chart,
    /// What is checked out; everything when absent.
    paths: Option<Vec<String>>,
    release: String,
    leading: Vec<String>,
    /// Name and path of file parameters, paths from the root of the repository.
    file_parameters: Vec<(String, String)>,
    value_files: Vec<String>,
    inline_values: Option<String>,
    trailing: Vec<String>,
}

/// Looks at a chart: how to render it, on what the answer depends, and what the user should know.
pub(super) fn prepare(
    source: &ApplicationSource,
    tree: &SourceTree,
    folder: &str,
    app: &AppIdentity,
    environment: &Environment,
) -> Result<(Job, Vec<Input>, Vec<String>), RenderError> {
    let options = HelmOptions::of(source)?;
    let chart = chart::walk(tree, folder)?;
    let mut found = files::values(tree, folder, &options.value_files, options.ignore_missing_value_files, environment)?;
    let value_files = std::mem::take(&mut found.paths);
    let mut file_parameters = Vec::new();
    for parameter in &options.file_parameters {
        let path = files::parameter(tree, folder, &parameter.path, environment, &mut found)?;
        file_parameters.push((parameter.name.clone(), path));
    }
    // A link may lead anywhere in the repository.
    let (paths, inputs) = if chart.has_links || found.linked {
        (None, vec![Input { path: String::new(), id: Some(tree.root_id()) }])
    } else {
        let mut inputs = found.inputs;
        for folder in &chart.folders {
            inputs.push(Input { path: folder.clone(), id: tree.id_of(folder)? });
        }
        inputs.sort();
        inputs.dedup();
        let files = value_files.iter().chain(file_parameters.iter().map(|(_, path)| path));
        (Some(chart.folders.iter().chain(files).cloned().collect()), inputs)
    };
    let job = Job {
        tree: tree.clone(),
        folder: folder.to_owned(),
        paths,
        release: options.release_name(app).to_owned(),
        leading: options.leading_arguments(app, environment),
        file_parameters,
        value_files,
        inline_values: options.inline_values(),
        trailing: options.trailing_arguments(app),
        chart,
    };
    Ok((job, inputs, super::unknown_fields("helm", &options.extra)))
}

impl Job {
    /// What the answer depends on besides the inputs.
    pub(super) fn fingerprint(&self) -> String {
        let what = (
            (&self.folder, &self.release, &self.leading, &self.file_parameters),
            (&self.value_files, &self.inline_values, &self.trailing),
        );
        serde_json::to_string(&what).expect("strings and lists of strings are JSON")
    }

    /// What changes in every render, found in the templates.
    pub(super) async fn warnings(&self) -> Result<Vec<String>, RenderError> {
        let (tree, folders) = (self.tree.clone(), self.chart.folders.clone());
        super::blocking(move || chart::changing_templates(&tree, &folders)).await
    }

    /// Checks out what is read, renders it, and returns the output.
    ///
    /// Dependencies are built only when Helm misses one, as upstream does: a chart that holds them needs nothing else.
    pub(super) async fn run(&self, helm: &Helm, options: &Options) -> Result<String, RenderError> {
        let inline = self.inline_values.clone();
        let place = place::check_out(&self.tree, self.paths.clone(), options, move |_, home| {
            inline.map_or(Ok(()), |text| std::fs::write(home.join("values.yaml"), text))
        })
        .await?;
        let (checkout, home) = (place::checkout(&place), place::home(&place));
        let arguments = self.arguments(&checkout, &home);
        match helm.run(&checkout, &self.folder, &home, &arguments, options).await {
            Err(RenderError::ProgramFailed { problem, .. }) if problem.contains(MISSING_DEPENDENCY) => {
                if let Some((name, repository)) = self.chart.remote.first() {
                    return Err(RenderError::NotSupportedYet {
                        what: format!("fetching the dependency `{name}` of the chart from {}", without_user(repository)),
                        instead: "run `helm dependency build` and commit the folder charts/".into(),
                    });
                }
                let build = ["dependency", "build", "."].map(str::to_owned);
                helm.run(&checkout, &self.folder, &home, &build, options).await?;
                helm.run(&checkout, &self.folder, &home, &arguments, options).await
            }
            other => other,
        }
    }

    /// The command line, in upstream's order.
    fn arguments(&self, checkout: &Path, home: &Path) -> Vec<String> {
        let at = |path: &str| checkout.join(path).display().to_string();
        let mut arguments = vec!["template".to_owned()];
        arguments.extend(self.leading.iter().cloned());
        for (name, path) in &self.file_parameters {
            arguments.extend(["--set-file".into(), format!("{name}={}", options::escape_commas(&at(path)))]);
        }
        for path in &self.value_files {
            arguments.extend(["--values".into(), at(path)]);
        }
        if self.inline_values.is_some() {
            arguments.extend(["--values".into(), home.join("values.yaml").display().to_string()]);
        }
        arguments.extend(self.trailing.iter().cloned());
        // A name that begins with a dash is still a name.
        arguments.extend(["--".into(), self.release.clone(), ".".into()]);
        arguments
    }
}

/// A repository without user and password.
fn without_user(url: &str) -> String {
    match url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?.1))) {
        Some((scheme, rest)) => format!("{scheme}://{rest}"),
        None => url.to_owned(),
    }
}
