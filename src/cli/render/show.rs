//! What was rendered, on the screen or in files.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::RenderArgs;
use super::load::{Answer, Part, objects, tell_warnings};
use crate::cli::Failure;
use crate::cli::app::short;
use crate::cli::output::{Output, Report, list_of, print_document};
use crate::diff::mask;
use crate::render::Input;
use crate::resource::{Object, yaml};
use crate::ui::{problem, stream};

/// Prints or writes the manifests.
pub(super) fn manifests(answer: Answer, args: &RenderArgs) -> Result<(), Failure> {
    tell_warnings(&answer.parts);
    let mut objects = objects(&answer.parts);
    tell_duplicates(&objects);
    if !args.show_secrets {
        hide(&mut objects);
    }
    if objects.is_empty() {
        stream::say(&format!("{} has no manifests.", answer.name));
    }
    if let Some(folder) = &args.output_dir {
        return write_files(folder, &objects);
    }
    match args.output {
        Some(Output::Json) => print_document(Output::Json, &list_of(objects.into_iter().map(Object::into_value).collect())),
        Some(Output::Name) => {
            objects.iter().for_each(|object| stream::out(&format!("{}\n", name_of(object))));
            Ok(())
        }
        _ => {
            let documents: Vec<String> = objects.iter().map(|object| yaml::to_yaml(&object.to_value())).collect();
            stream::out(&documents.join("---\n"));
            Ok(())
        }
    }
}

/// `kind.group/name`, as `kubectl` prints it.
fn name_of(object: &Object) -> String {
    let kind = object.kind().to_lowercase();
    let name = if object.name().is_empty() { "(generated)" } else { object.name() };
    if object.group().is_empty() { format!("{kind}/{name}") } else { format!("{kind}.{}/{name}", object.group()) }
}

/// The last one counts when an Application is synced.
fn tell_duplicates(objects: &[Object]) {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for object in objects.iter().filter(|object| !object.name().is_empty()) {
        *count.entry(object.key().to_string()).or_default() += 1;
    }
    for (key, number) in count.into_iter().filter(|(_, number)| *number > 1) {
        stream::say(&problem::note(&format!("{key} is there {number} times; a sync applies the last one"), None));
    }
}

fn hide(objects: &mut [Object]) {
    let mut hidden = 0;
    for object in objects.iter_mut().filter(|object| mask::is_secret(object)) {
        mask::mask(None, Some(object));
        hidden += 1;
    }
    if hidden > 0 {
        let text = format!("the values of {hidden} Secret{} are hidden", if hidden == 1 { "" } else { "s" });
        stream::say(&problem::note(&text, Some("--show-secrets shows them")));
    }
}

/// One file per object; the folder is made.
fn write_files(folder: &Path, objects: &[Object]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("cannot write into {}", folder.display())).with_cause(&error);
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for object in objects {
        let parts = [object.namespace(), object.kind(), object.name()];
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '_' };
        let stem: Vec<String> =
            parts.iter().filter(|part| !part.is_empty()).map(|part| part.chars().map(plain).collect()).collect();
        let stem = stem.join("_").to_lowercase();
        let number = taken.entry(stem.clone()).or_default();
        *number += 1;
        let name = if *number == 1 { format!("{stem}.yaml") } else { format!("{stem}-{number}.yaml") };
        write_private(&folder.join(name), &yaml::to_yaml(&object.to_value())).map_err(failed)?;
    }
    stream::say(&format!("{} objects written into {}", objects.len(), folder.display()));
    Ok(())
}

/// There may be a Secret in it.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation<'a> {
    app: &'a str,
    sources: Vec<SourceExplanation<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceExplanation<'a> {
    source: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    revision: &'a str,
    renderer: &'a str,
    key: String,
    origin: String,
    objects: usize,
    inputs: &'a [Input],
    warnings: &'a [String],
}

impl<'a> SourceExplanation<'a> {
    fn of(part: &'a Part) -> Self {
        let rendered = &part.explained.rendered;
        Self {
            source: &part.origin,
            revision: &part.revision,
            renderer: &part.explained.renderer,
            key: part.explained.key.to_string(),
            origin: part.explained.origin.to_string(),
            objects: rendered.objects.len(),
            inputs: &rendered.inputs,
            warnings: &rendered.warnings,
        }
    }
}

/// Prints how the answer came about.
pub(super) fn explain(answer: &Answer, output: Option<Output>) -> Result<(), Failure> {
    let sources: Vec<SourceExplanation<'_>> = answer.parts.iter().map(SourceExplanation::of).collect();
    if let Some(output) = output {
        let body = Explanation { app: &answer.name, sources };
        return print_document(output, &Report::new("RenderReport", true, body, Vec::new()));
    }
    let texts: Vec<String> = sources.iter().map(human).collect();
    stream::out(&texts.join("\n"));
    Ok(())
}

fn human(source: &SourceExplanation<'_>) -> String {
    let at = if source.revision.is_empty() { String::new() } else { format!(" at {}", short(source.revision)) };
    let mut text = format!(
        "Source:   {}{at}\nRenderer: {}\nKey:      {}\nAnswer:   {}, {} object{}\n",
        source.source,
        source.renderer,
        source.key,
        source.origin,
        source.objects,
        if source.objects == 1 { "" } else { "s" },
    );
    source.warnings.iter().for_each(|warning| text.push_str(&format!("Warning:  {warning}\n")));
    text.push_str("\nIt is rendered again when one of these changes:\n");
    for input in source.inputs {
        let path = if input.path.is_empty() { "(anything in the repository)" } else { &input.path };
        let id = input.id.as_deref().map_or("must not be there", short_id);
        text.push_str(&format!("  {id:<17} {path}\n"));
    }
    text
}

fn short_id(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
