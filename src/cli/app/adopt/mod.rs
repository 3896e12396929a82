//! `adopt`: a change made in the cluster becomes a change of the files it should have been made in.
//!
//! ```text
//! drift since the synced revision ──> wishes ──plain | kustomize──> new files ──render again, compare──> proven ──> work tree
//!                                        └────────────────> left: what cannot be expressed, and why
//! ```

mod files;
mod kustomize;
mod plain;
mod secret;
mod wish;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use self::files::Files;
use self::secret::SealedLive;
use self::wish::{Left, Wish};
use super::diff::{Comparer, redirect};
use super::drift::synced_revision;
use super::{App, AppRef, select};
use crate::cli::output::{Output, Report, print_document};
use crate::cli::worktree::Borrowed;
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::diff::{Change, ObjectDiff};
use crate::ui::symbols::Symbols;
use crate::ui::{paint, stream, text};

/// Bring changes made in the cluster to Git: edits the files of the work tree, and proves it by rendering them again.
///
/// Plain YAML is edited where it stands, comments kept. With Secret/NAME the values of a Secret are sealed into its SealedSecret. Of a Kustomize source the entry for an image or number of replicas is
/// changed, or a patch is added. What cannot be expressed is listed, and ends the command with 1. Nothing is committed or pushed, and
/// the cluster is only read.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops adopt web Deployment/web --dry-run")]
pub struct AdoptArgs {
    /// Application, as NAME or NAMESPACE/NAME
    #[arg(value_name = "NAME")]
    app: String,
    /// Only these objects, as KIND/NAME
    #[arg(value_name = "KIND/NAME")]
    objects: Vec<String>,
    /// Work tree of the repository, or a folder in it
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,
    /// Bring this field as well although a controller writes it, for example spec.replicas
    #[arg(long, value_name = "PATH")]
    force_field: Vec<String>,
    /// Only say what would be changed
    #[arg(long)]
    dry_run: bool,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Adopted {
    /// Files that changed, from the top of the repository.
    files: Vec<String>,
    /// `object field` of everything that Git now says.
    fields: Vec<String>,
    left: Vec<Left>,
}

/// Adopts.
///
/// # Errors
/// When the work tree is of another repository or revision, or the result cannot be proven.
pub async fn run(args: AdoptArgs, cx: &Context) -> CommandResult {
    let app = select::get(cx, &AppRef::parse(&args.app, cx)?).await?;
    let borrowed = Borrowed::of(&args.repo)?;
    let remotes = borrowed.remotes()?;
    let source = files::source_here(&app, &remotes)?;
    let comparer = Comparer::new(cx).await?;
    let present = borrowed.files()?;
    let at = |commit: &str| redirect(app.clone(), &remotes, &borrowed.url(), commit);
    refuse_other_revision(&comparer, &app, &at(&present)).await?;

    let before = comparer.compare_whole(&at(&present), None).await?;
    let namespace = &app.app.spec.destination.namespace;
    let mut files = Files::read(borrowed.top(), &source.path)?;
    let (mut sealed, mut objects) = (Vec::new(), Vec::new());
    for object in &args.objects {
        let secret = object.split_once('/').filter(|(kind, _)| kind.eq_ignore_ascii_case("secret"));
        match secret {
            Some((_, name)) => match secret::seal_live(&mut files, name, namespace, cx).await? {
                Some(one) => sealed.push(one),
                None => objects.push(object.clone()),
            },
            None => objects.push(object.clone()),
        }
    }
    let only_secrets = objects.is_empty() && !sealed.is_empty();
    let (mut wishes, mut left) =
        if only_secrets { (Vec::new(), Vec::new()) } else { wish::wishes(&before, &objects, &args.force_field)? };
    let with_secrets = files;
    let (files, proven) = loop {
        let mut files = with_secrets.clone();
        let (edited, refused) = match before.source_type() {
            "Directory" => plain::edit(&mut files, wishes, namespace),
            "Kustomize" => kustomize::edit(&mut files, wishes),
            other => {
                (Vec::new(), wish::all_left(&wishes, &format!("{other} sources take values; change the value that sets it")))
            }
        };
        left.extend(refused);
        let changed = borrowed.with_files(&present, &files.changed())?;
        let after = comparer.compare_at(&at(&changed), None).await?;
        let (proven, unproven) = prove(edited, &before.diff.objects, &after.diff.objects, &sealed)?;
        if unproven.is_empty() {
            break (files, proven);
        }
        // Their edits change nothing, so they are not made.
        left.extend(wish::all_left(&unproven, "something else in the source sets it again"));
        wishes = proven;
    };
    let is_something = !proven.is_empty() || !sealed.is_empty();
    if !args.dry_run && is_something {
        files.write()?;
    }
    let changed = if is_something { files.changed().into_iter().map(|file| file.path).collect() } else { Vec::new() };
    let keys = sealed.iter().flat_map(|one| one.keys.iter().map(move |key| format!("{} .spec.encryptedData.{key}", one.object)));
    let fields = proven.iter().map(Wish::name).chain(keys).collect();
    finish(&Adopted { files: changed, fields, left }, &args)
}

/// The files must say what was synced: what is different for another reason would be taken back.
async fn refuse_other_revision(comparer: &Comparer<'_>, app: &App, present: &App) -> Result<(), Failure> {
    let name = app.full_name();
    let Some(synced) = synced_revision(app) else {
        return Err(Failure::new(format!("{name} was never synced, so there is nothing to compare the cluster with"))
            .with_hint(format!("kubectl gitops sync {name}")));
    };
    let (then, now) = (comparer.manifests(app, Some(&synced)).await?, comparer.manifests(present, None).await?);
    if then == now {
        return Ok(());
    }
    let short = synced.get(..7).unwrap_or(&synced);
    Err(Failure::new(format!("the work tree gives other manifests for {name} than revision {short}, which was synced last"))
        .with_hint(format!("sync first, or: git checkout {short}")))
}

/// Everything that was edited must be gone from the difference, and nothing new may be in it.
fn prove(
    edited: Vec<Wish>,
    before: &[ObjectDiff],
    after: &[ObjectDiff],
    sealed: &[SealedLive],
) -> Result<(Vec<Wish>, Vec<Wish>), Failure> {
    let fields = |objects: &[ObjectDiff]| -> BTreeMap<String, String> {
        let of = |object: &ObjectDiff| {
            let whole = matches!(object.change, Change::Create | Change::Delete).then(|| (object.key.to_string(), String::new()));
            let fields = object.fields.iter().filter(|field| field.word() != "same");
            whole
                .into_iter()
                .chain(fields.map(|field| (format!("{} {}", object.key, field.path), format!("{:?}", field.to))))
                .collect::<Vec<_>>()
        };
        objects.iter().flat_map(of).collect()
    };
    let (before, after) = (fields(before), fields(after));
    // New ciphertext always differs from the old.
    let is_sealed = |field: &String| sealed.iter().any(|one| field.starts_with(&one.object));
    if let Some(new) = after.keys().find(|field| !before.contains_key(*field) && !is_sealed(field)) {
        return Err(Failure::new(format!("the edit would also change {new}; nothing was written")));
    }
    Ok(edited.into_iter().partition(|wish| !after.contains_key(&wish.name())))
}

fn finish(adopted: &Adopted, args: &AdoptArgs) -> CommandResult {
    let complete = adopted.left.is_empty();
    match args.output {
        Some(output) => print_document(output, &Report::new("AdoptReport", complete, adopted, Vec::new()))?,
        None => tell(adopted, args.dry_run),
    }
    Ok(if complete { Exit::Done } else { Exit::No })
}

fn tell(adopted: &Adopted, is_dry: bool) {
    let symbols = Symbols::get();
    let would = if is_dry { "would be " } else { "" };
    for file in &adopted.files {
        stream::out(&format!("{} {} {would}changed\n", paint::good(symbols.done), text::clean(file)));
    }
    for field in &adopted.fields {
        stream::out(&format!("    {}\n", text::clean(field)));
    }
    for left in &adopted.left {
        stream::out(&format!(
            "{} {}: {}\n",
            paint::attention(symbols.attention),
            text::clean(&left.field),
            text::clean(&left.reason)
        ));
        left.hint.iter().for_each(|hint| stream::out(&format!("    {} {}\n", paint::good("hint:"), text::clean(hint))));
    }
    if adopted.files.is_empty() && adopted.left.is_empty() {
        stream::say("nothing has drifted");
    } else if !adopted.files.is_empty() && !is_dry {
        stream::say("next: git diff, then commit and push");
    }
}
