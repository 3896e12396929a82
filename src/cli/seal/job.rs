//! Sealing into files: what will be written is decided for all of them before the first one is touched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::input::{Format, Plain, Source};
use super::known::Known;
use super::onto::{Keys, Sealed, onto};
use super::place::{self, Place};
use super::report::{self, Entry};
use super::text::{self, Present};
use super::{SealArgs, kustomization};
use crate::cli::keys::certificate;
use crate::cli::secrets::files::{self, Mode};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::sealing::{Certificate, Target};
use crate::ui::{age, stream};

/// Sources whose Secrets go into one file.
pub struct Job {
    pub sources: Vec<Source>,
    pub out: PathBuf,
}

/// A Secret, and where it will live.
type Placed<'a> = (&'a Source, &'a Plain, Place);

/// What one file becomes.
struct Plan {
    out: PathBuf,
    text: String,
    is_change: bool,
    entries: Vec<Entry>,
}

impl Job {
    fn is_in_place(&self) -> bool {
        self.sources.len() == 1 && self.sources.iter().any(|source| source.file == self.out)
    }

    fn secrets(&self) -> impl Iterator<Item = (&Source, &Plain)> {
        self.sources.iter().flat_map(|source| source.secrets.iter().map(move |plain| (source, plain)))
    }

    fn format(&self, args: &SealArgs) -> Format {
        let of_input = || self.sources.first().map_or(Format::Yaml, Source::format);
        args.format.or_else(|| Format::of_file(&self.out)).unwrap_or_else(of_input)
    }

    fn place<'a>(&'a self, args: &SealArgs, cx: &Context) -> Result<Vec<Placed<'a>>, Failure> {
        let place = |(source, plain): (&'a Source, &'a Plain)| {
            let place = place::decide(&plain.secret, args, cx).map_err(|failure| failure.at(source.place_of(plain)))?;
            if args.as_name.is_none() {
                kustomization::check(Some(&self.out), &place.sealed_for.target)?;
            }
            Ok((source, plain, place))
        };
        self.secrets().map(place).collect()
    }

    /// What the file holds now, if that is to be changed and not the source itself.
    fn present(&self, args: &SealArgs) -> Option<Present> {
        if self.is_in_place() {
            return None;
        }
        Present::parse(std::fs::read_to_string(&self.out).ok()?, self.format(args))
    }
}

/// Seals all jobs, and writes only when nothing failed.
///
/// # Errors
/// When something cannot be sealed, or a file would be written twice or lost.
pub async fn run(jobs: &[Job], args: &SealArgs, cx: &Context) -> CommandResult {
    refuse_collisions(jobs)?;
    if args.delete_source {
        jobs.iter().try_for_each(refuse_deletion)?;
    }
    let placed = jobs.iter().map(|job| job.place(args, cx)).collect::<Result<Vec<_>, _>>()?;
    let certificate = certificate::obtain(args.cert.as_deref(), &args.controller_name, cx).await?;
    certificate::refuse_expired(&certificate, age::now())?;
    let present: Vec<Option<Present>> = jobs.iter().map(|job| job.present(args)).collect();
    let known = known(&placed, &present, args, cx).await?;
    let mut plans = Vec::new();
    for ((job, placed), present) in jobs.iter().zip(&placed).zip(present) {
        placed.iter().for_each(|(_, _, place)| stream::say(&place.describe(&certificate)));
        plans.push(plan(job, placed, present, &certificate, &known, args)?);
    }
    let changed = plans.iter().flat_map(|plan| &plan.entries).map(|entry| entry.keys.changed.len()).sum();
    known.say_gap(changed);
    act(jobs, &plans, args)?;
    let would_change = plans.iter().any(|plan| plan.is_change);
    let exit = if args.check && would_change { Exit::No } else { Exit::Done };
    report::print(args.report(), exit == Exit::Done, plans.into_iter().flat_map(|plan| plan.entries).collect())?;
    Ok(exit)
}

async fn known(placed: &[Vec<Placed<'_>>], present: &[Option<Present>], args: &SealArgs, cx: &Context) -> Result<Known, Failure> {
    let on_present = placed.iter().zip(present).filter(|(_, present)| present.is_some());
    let targets: Vec<Target> =
        on_present.flat_map(|(placed, _)| placed).map(|(_, _, place)| place.sealed_for.target.clone()).collect();
    if targets.is_empty() { Ok(Known::default()) } else { Known::find(args, &targets, cx).await }
}

fn plan(
    job: &Job,
    placed: &[Placed<'_>],
    present: Option<Present>,
    certificate: &Certificate,
    known: &Known,
    args: &SealArgs,
) -> Result<Plan, Failure> {
    let (mut objects, mut entries) = (Vec::new(), Vec::new());
    for (source, plain, place) in placed {
        let of_this = present.as_ref().and_then(|present| present.get(&place.identity()));
        let of_this = of_this.map(|found| &found.sealed);
        let sealed = onto(&plain.secret, place, certificate, of_this, known, args.allow_empty_data);
        let Sealed { value, keys } = sealed.map_err(|failure| failure.at(source.place_of(plain)))?;
        objects.push(value);
        entries.push(Entry::new(files::describe(&source.file), job.out.display().to_string(), place, keys));
    }
    let before = present.as_ref().map(|present| present.text.clone());
    let text = match job.sources.as_slice() {
        [source] if job.is_in_place() => text::in_place(source, objects),
        _ => text::of_objects(&objects, present, job.format(args)),
    };
    Ok(Plan { out: job.out.clone(), is_change: before.as_deref() != Some(&text), text, entries })
}

/// Writes, says what it did, and deletes sources or says that they should be.
fn act(jobs: &[Job], plans: &[Plan], args: &SealArgs) -> Result<(), Failure> {
    for plan in plans {
        let mut keys = Keys::default();
        plan.entries.iter().for_each(|entry| keys.extend(&entry.keys));
        let verb = match (plan.is_change, args.check) {
            (false, _) => "unchanged",
            (true, true) => "would write",
            (true, false) => "wrote",
        };
        if plan.is_change && !args.check {
            write(plan)?;
        }
        stream::say(&format!("{verb} {}  {}", plan.out.display(), keys.describe()));
    }
    if args.check {
        return Ok(());
    }
    for source in jobs.iter().filter(|job| !job.is_in_place()).flat_map(|job| &job.sources) {
        let file = source.file.display();
        if args.delete_source {
            std::fs::remove_file(&source.file)
                .map_err(|error| Failure::new(format!("cannot delete {file}")).with_cause(&error))?;
            stream::say(&format!("deleted {file}"));
        } else if args.recursive {
            let what = if source.is_mixed { "take the Secrets out of" } else { "delete" };
            stream::say(&format!("now {what} {file}; its values are in the clear"));
        }
    }
    Ok(())
}

fn write(plan: &Plan) -> Result<(), Failure> {
    if let Some(folder) = plan.out.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::new(format!("cannot make {}", folder.display())).with_cause(&error))?;
    }
    files::replace(&plan.out, plan.text.as_bytes(), Mode::Public)
}

fn refuse_collisions(jobs: &[Job]) -> Result<(), Failure> {
    let mut taken: BTreeMap<&Path, &Path> = BTreeMap::new();
    for job in jobs {
        let source = job.sources.first().map_or(Path::new(""), |source| source.file.as_path());
        if let Some(other) = taken.insert(&job.out, source) {
            let what = format!("{} and {} would both be written to {}", other.display(), source.display(), job.out.display());
            return Err(Failure::new(what).with_hint("give their common folder, or rename one"));
        }
    }
    Ok(())
}

/// Deleting must lose nothing that is not sealed.
fn refuse_deletion(job: &Job) -> Result<(), Failure> {
    for source in &job.sources {
        let name = files::describe(&source.file);
        let refused = |why: &str, hint: &str| Err(Failure::new(format!("--delete-source: {name} {why}")).with_hint(hint));
        let is_target =
            std::fs::canonicalize(&source.file).ok().is_some_and(|file| std::fs::canonicalize(&job.out).ok() == Some(file));
        if source.file.as_os_str() == files::STDIN {
            return refused("is no file", "give the Secrets as files");
        }
        if source.is_mixed || source.secrets.is_empty() {
            return refused("holds other objects too", "--in-place seals the Secrets and keeps the rest");
        }
        if is_target {
            return refused("is the file that is written", "leave --delete-source out");
        }
    }
    Ok(())
}

impl Place {
    /// A value with the name and namespace that the object has in its file.
    fn identity(&self) -> Value {
        let target = &self.sealed_for.target;
        let name = self.sealed_for.name_in_file.as_ref().unwrap_or(&target.name);
        let namespace = self.sealed_for.namespace_in_file.as_ref().unwrap_or(&target.namespace);
        serde_json::json!({"metadata": {"name": name, "namespace": namespace}})
    }
}
