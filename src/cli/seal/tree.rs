//! `-R`: every plain Secret below folders, each file to a `.sealed` one beside it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{SealArgs, input, kustomization, output, place};
use crate::cli::keys::certificate;
use crate::cli::secrets::files::{self, Mode};
use crate::cli::secrets::sealed;
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::ui::{age, stream};

/// A file that was sealed, not yet written.
struct Done {
    source: PathBuf,
    target: PathBuf,
    text: String,
    secrets: usize,
    /// Whether the source holds other things than Secrets.
    mixed: bool,
}

/// Seals all of them, and writes only when nothing failed. The sources stay; it says which to delete.
pub async fn run(args: &SealArgs, cx: &Context) -> CommandResult {
    let paths: Vec<PathBuf> = args.files.iter().chain(&args.filenames).cloned().collect();
    let sources = files::manifests(&paths)?;
    let certificate = certificate::obtain(args.cert.as_deref(), &args.controller_name, cx).await?;
    certificate::refuse_expired(&certificate, age::now())?;
    let mut done = Vec::new();
    for source in sources {
        done.extend(seal_file(&source, args, &certificate, cx)?);
    }
    if done.is_empty() {
        return Err(Failure::new("there is no Secret with values in the given paths"));
    }
    let present = done.iter().filter(|one| !one.target.exists()).count();
    if args.check {
        done.iter().for_each(|one| stream::out(&format!("{} would be sealed\n", one.source.display())));
        return Ok(if present > 0 { Exit::No } else { Exit::Done });
    }
    for one in &done {
        files::replace(&one.target, one.text.as_bytes(), Mode::Public)?;
        stream::say(&format!("wrote {}  {} Secrets", one.target.display(), one.secrets));
    }
    done.iter().for_each(|one| {
        let what = if one.mixed { "take the Secrets out of" } else { "delete" };
        stream::say(&format!("now {what} {}; its values are in the clear", one.source.display()));
    });
    Ok(Exit::Done)
}

fn seal_file(
    source: &Path,
    args: &SealArgs,
    certificate: &crate::sealing::Certificate,
    cx: &Context,
) -> Result<Option<Done>, Failure> {
    let name = files::describe(source);
    let text = files::read_text(source)?;
    if !text.contains("Secret") {
        return Ok(None);
    }
    let documents = sealed::documents(&name, &text)?;
    let is_secret = |value: &Value| value.get("kind").and_then(Value::as_str) == Some("Secret");
    let (secrets, others): (Vec<_>, Vec<_>) = documents.into_iter().partition(|document| is_secret(&document.value));
    if secrets.is_empty() {
        return Ok(None);
    }
    let target = target(source, args.out_dir.as_deref());
    let mut objects = Vec::new();
    for document in secrets {
        let mut found = Vec::new();
        input::take(&format!("{name}:{}", document.line), document.value, &mut found)?;
        for secret in &found {
            let place = place::decide(secret, args, cx)?;
            kustomization::check(Some(&target), &place.sealed_for.target)?;
            objects.push(super::seal(secret, &place, certificate, args.allow_empty_data)?);
            stream::say(&place.describe(certificate));
        }
    }
    let format = input::Format::of_file(&target).unwrap_or(input::Format::Yaml);
    let text = output::render(&objects, format);
    Ok(Some(Done { source: source.to_owned(), target, text, secrets: objects.len(), mixed: !others.is_empty() }))
}

/// `secrets/db.yaml` becomes `secrets/db.sealed.yaml`.
fn target(source: &Path, out_dir: Option<&Path>) -> PathBuf {
    let stem = source.file_stem().unwrap_or_default().to_string_lossy();
    let extension = source.extension().unwrap_or_default().to_string_lossy();
    let folder = out_dir.or(source.parent()).unwrap_or(Path::new(""));
    folder.join(format!("{stem}.sealed.{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_files_stand_beside_their_sources_or_in_the_given_folder() {
        assert_eq!(target(Path::new("a/db.yaml"), None), Path::new("a/db.sealed.yaml"));
        assert_eq!(target(Path::new("a/db.json"), Some(Path::new("out"))), Path::new("out/db.sealed.json"));
    }
}
