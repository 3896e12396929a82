//! `install` and `uninstall`: the controller, its rights and its definitions.
//!
//! ```text
//! deploy/ ──manifests──> [Object] ──dry-run=client──> stdout
//!                           │
//!            rivals, rights (asked first) ──> server-side apply ──> wait: served, ready, certificate published
//! ```

mod cluster;
mod manifests;
mod ready;
mod rivals;
mod uninstall;

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::output::{Output, Report, list_of, print_document};
use super::{CommandResult, Context, Exit, Failure, duration, version};
use crate::resource::{Object, yaml};
use crate::ui::symbols::Symbols;
use crate::ui::{paint, stream};

use self::cluster::{Action, apply, missing_right};
pub(super) use self::cluster::{may, may_named};
use self::manifests::{Choice, Profile, manifests};
pub(super) use self::rivals::find as find_rivals;
pub use self::uninstall::{UninstallArgs, run as uninstall};

/// Where the first look of a command that writes ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum DryRun {
    /// Do it
    #[default]
    None,
    /// Ask nobody: print what would be applied
    Client,
    /// Let the API server check everything and store nothing
    Server,
}

/// Install the controller, or bring an installation up to date.
///
/// Applies what is in deploy/ of the same version, server-side, and waits until the controller is ready and has published the
/// certificate to seal with. Refuses where another controller looks after the same objects. CustomResourceDefinitions of Argo CD
/// or Sealed Secrets are kept. With --dry-run=client it prints the manifests and needs no cluster, so that they can go into Git.
/// The control namespace is --controller-namespace.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops install --dry-run=client -o yaml")]
pub struct InstallArgs {
    /// How much the controller may do
    // Text, because kubectl has a flag of this name that every command accepts and ignores.
    #[arg(long, value_name = "PROFILE", default_value = "full", value_parser = clap::builder::PossibleValuesParser::new(Profile::names()))]
    profile: String,
    /// Image of the controller, for example from your own registry
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// client prints the manifests, server only lets the API server check them
    #[arg(long, value_name = "MODE", value_enum, default_value = "none", num_args = 0..=1, require_equals = true,
          default_missing_value = "server")]
    dry_run: DryRun,
    /// Install although another controller runs; only right when the two look after different namespaces
    #[arg(long)]
    beside_others: bool,
    /// Wait until the controller works
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value = "true", hide_possible_values = true)]
    wait: bool,
    /// How long to wait; a negative one means a week
    #[arg(long, value_name = "DURATION", default_value = "2m", allow_negative_numbers = true, value_parser = duration::parse_limit)]
    timeout: Duration,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

#[derive(Debug, Serialize)]
struct Installed {
    version: String,
    objects: Vec<Done>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
}

#[derive(Debug, Serialize)]
struct Done {
    r#ref: String,
    action: Action,
}

/// Installs.
///
/// # Errors
/// When another controller is in the way, a right is missing, the API server refuses something, or the time is over.
pub async fn run(args: InstallArgs, cx: &Context) -> CommandResult {
    let namespace = cx.flags.controller_namespace.clone();
    let profile = Profile::named(&args.profile);
    let choice = Choice { profile, namespace: namespace.clone(), image: args.image.clone() };
    let objects = manifests(&choice);
    if args.dry_run == DryRun::Client {
        return print_manifests(&objects, args.output);
    }
    let client = cx.client().await?;
    if !args.beside_others
        && let Some(refusal) = rivals::refusal(&find_rivals(&client, &namespace).await, profile)
    {
        return Err(refusal);
    }
    check_rights(cx, &objects, profile).await?;
    let is_dry = args.dry_run == DryRun::Server;
    let mut done = Vec::new();
    for object in &objects {
        let action = apply(cx, object, is_dry).await?;
        done.push(Done { r#ref: object.key().to_string(), action });
    }
    let fingerprint = if args.wait && !is_dry { Some(ready::wait(cx, &objects, &namespace, args.timeout).await?) } else { None };
    let installed = Installed { version: version::client(), objects: done, fingerprint };
    match args.output {
        Some(output) => print_document(output, &Report::new("InstallReport", true, installed, Vec::new()))?,
        None => tell(&installed, &namespace, is_dry),
    }
    Ok(Exit::Done)
}

fn print_manifests(objects: &[Object], output: Option<Output>) -> CommandResult {
    if output == Some(Output::Json) {
        print_document(Output::Json, &list_of(objects.iter().map(Object::to_value).collect()))?;
        return Ok(Exit::Done);
    }
    objects.iter().for_each(|object| stream::out(&format!("---\n{}", yaml::to_yaml(&object.to_value()))));
    Ok(Exit::Done)
}

async fn check_rights(cx: &Context, objects: &[Object], profile: Profile) -> Result<(), Failure> {
    let Some(right) = missing_right(cx, objects, "patch").await? else { return Ok(()) };
    let hint = if right.contains("clusterrole") || right.contains("customresourcedefinitions") || right.contains("namespaces") {
        match profile {
            Profile::Namespaced => "ask a cluster administrator".to_owned(),
            _ => "ask a cluster administrator, or install for one namespace: --profile namespaced".to_owned(),
        }
    } else {
        format!("ask for this right; check it with: kubectl auth can-i {right}")
    };
    Err(Failure::new(format!("you may not {right}; nothing was changed")).with_hint(hint))
}

fn tell(installed: &Installed, namespace: &str, is_dry: bool) {
    let symbols = Symbols::get();
    for one in installed.objects.iter().filter(|one| one.action != Action::Unchanged) {
        stream::out(&format!("{} {} {}\n", paint::good(symbols.done), one.r#ref, one.action.word()));
    }
    let unchanged = installed.objects.iter().filter(|one| one.action == Action::Unchanged).count();
    if unchanged > 0 {
        stream::out(&format!("{} {unchanged} unchanged\n", paint::good(symbols.done)));
    }
    if is_dry {
        stream::say("dry run: nothing was stored");
        return;
    }
    if let Some(fingerprint) = installed.fingerprint.as_ref() {
        stream::out(&format!(
            "{} {} in {namespace} is ready; it seals with {fingerprint}\n",
            paint::good(symbols.done),
            installed.version
        ));
        stream::say("next: kubectl gitops keys backup --to keys.age --recipient age1...");
    }
}
