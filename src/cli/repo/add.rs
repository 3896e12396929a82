//! `repo add`.

use std::path::PathBuf;

use clap::Args;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use serde::Serialize;

use super::input::{Fields, LoginArgs};
use super::place;
use super::secret::{Registration, manifest};
use super::test_access::{Tested, test};
use crate::cli::keys::certificate;
use crate::cli::output::{Output, Report, print_document};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::resource::Object;
use crate::sealing::{Scope, SealedFor, SessionKey, Target, seal_secret};
use crate::source::credentials::{Catalogue, SecretText, Trust};
use crate::ui::{age, stream};

/// Register a repository: how the controller reaches it, and with which login.
///
/// Writes a Secret in the control namespace that Argo CD reads as well, after the repository was reached with it from here. With --seal
/// nothing is written: a SealedSecret for Git is printed. Passwords and keys are read from files, standard input or the terminal.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kubectl gitops repo add https://git.example/shop.git --username ci --password-stdin < token\n  kubectl \
                        gitops repo add git@git.example:shop.git --ssh-key id_ed25519\n  kubectl gitops repo add https://git.example/ \
                        --template --username ci --password-file token --seal > creds.yaml"
)]
pub struct AddArgs {
    /// URL as Applications write it; with --template what their URLs begin with
    #[arg(value_name = "URL")]
    url: String,
    #[command(flatten)]
    login: LoginArgs,
    /// For all repositories whose URL begins so and that have no login of their own
    #[arg(long, conflicts_with_all = ["name", "project"])]
    template: bool,
    /// What it holds: git, helm or oci
    #[arg(long = "type", value_name = "TYPE", value_parser = ["git", "helm", "oci"], default_value = "git")]
    kind: String,
    /// Name by which charts refer to it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Only Applications of this project may use it
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// Check neither the TLS certificate nor the SSH host key of the server
    #[arg(long, alias = "insecure-skip-server-verification", alias = "insecure-ignore-host-key")]
    insecure: bool,
    /// Fetch the files that LFS keeps elsewhere
    #[arg(long)]
    enable_lfs: bool,
    /// The Helm repository is an OCI registry
    #[arg(long)]
    enable_oci: bool,
    /// URL of a proxy, without a password
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Hosts that are reached without the proxy, separated by commas
    #[arg(long, value_name = "HOSTS", requires = "proxy")]
    no_proxy: Option<String>,
    /// Replace what is registered for this URL
    #[arg(long)]
    upsert: bool,
    /// Write without reaching the repository first
    #[arg(long)]
    skip_test: bool,
    /// Print a SealedSecret instead of writing a Secret
    #[arg(long)]
    seal: bool,
    /// With --seal: file with the certificate to seal with, instead of asking the cluster
    #[arg(long, value_name = "FILE", requires = "seal", env = "SEALED_SECRETS_CERT", hide_env_values = true)]
    cert: Option<PathBuf>,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

#[derive(Debug, Serialize)]
struct Added {
    url: String,
    secret: String,
    namespace: String,
    /// False when the repository was not asked.
    tested: bool,
}

/// Registers it.
///
/// # Errors
/// When it cannot be reached, is registered already, or the Secret cannot be written.
pub(super) async fn run(args: AddArgs, cx: &Context) -> CommandResult {
    check(&args)?;
    let registration = Registration {
        namespace: &cx.flags.controller_namespace,
        url: args.url.trim(),
        project: args.project.as_deref().unwrap_or_default(),
        is_template: args.template,
    };
    let secret = registration.secret(&fields(&args)?);
    let tested = test_access(&args, &registration, &secret, cx).await?;
    if args.seal {
        return seal(&args, &secret, cx).await;
    }
    let name = write(&args, &registration, secret, cx).await?;
    let added = Added { url: registration.url.to_owned(), secret: name, namespace: registration.namespace.to_owned(), tested };
    if let Some(output) = args.output {
        print_document(output, &Report::new("RepoReport", true, added, Vec::new()))?;
    } else {
        let what = if args.template { "login for repositories that begin with" } else { "repository" };
        stream::say(&format!("{what} {} registered in Secret {}/{}", added.url, added.namespace, added.secret));
    }
    Ok(Exit::Done)
}

/// What an argument must not hold.
fn check(args: &AddArgs) -> Result<(), Failure> {
    for (what, text) in [("the URL", Some(&args.url)), ("--proxy", args.proxy.as_ref())] {
        let authority =
            text.and_then(|text| text.split_once("://")).map_or("", |(_, rest)| rest.split('/').next().unwrap_or(rest));
        if authority.rsplit_once('@').is_some_and(|(login, _)| login.contains(':')) {
            let hint =
                "leave it out, and use --username and --password-stdin; the password that was given is known to others now";
            return Err(
                Failure::new(format!("{what} holds a password, which other users of this machine can read")).with_hint(hint)
            );
        }
    }
    Ok(())
}

fn fields(args: &AddArgs) -> Result<Fields, Failure> {
    let mut fields = args.login.read()?;
    let mut add = |field, text: &str| fields.push((field, SecretText::new(text.to_owned())));
    add("type", &args.kind);
    for (field, text) in [("name", &args.name), ("proxy", &args.proxy), ("noProxy", &args.no_proxy)] {
        if let Some(text) = text {
            add(field, text);
        }
    }
    for (field, on) in [("insecure", args.insecure), ("enableLfs", args.enable_lfs), ("enableOCI", args.enable_oci)] {
        if on {
            add(field, "true");
        }
    }
    Ok(fields)
}

/// Reaches the repository; a template is for none in particular, so it cannot be tested.
async fn test_access(args: &AddArgs, registration: &Registration<'_>, secret: &Secret, cx: &Context) -> Result<bool, Failure> {
    if args.skip_test || args.template {
        // What cannot be read would be found out only by the controller.
        let catalogue = Catalogue::new([secret], Trust::default());
        if let Some(problem) = catalogue.problems().first() {
            return Err(problem.clone().into());
        }
        return Ok(false);
    }
    let offline = args.seal && args.cert.is_some();
    let (mut known, trust) =
        if offline { (Vec::new(), None) } else { (place::secrets(cx).await?, Some(place::trust(cx).await?)) };
    known.retain(|one| !same(one, registration));
    let catalogue = Catalogue::new(known.iter().chain([secret]), trust.unwrap_or_default());
    let tested = test(registration.url, registration.project, catalogue).await.map_err(|failure| match failure.hint {
        Some(_) => failure,
        None => failure.with_hint("--skip-test writes it all the same"),
    })?;
    if tested == Tested::NotGit {
        stream::say("note: only Git repositories are reached before they are registered; this one was not");
    }
    Ok(tested == Tested::Reached)
}

/// True when a Secret is for the same URL and project.
fn same(secret: &Secret, registration: &Registration<'_>) -> bool {
    let catalogue = Catalogue::new([secret], Trust::default());
    catalogue.listed().any(|one| registration.is_for(one.url, one.project, one.is_template))
}

async fn write(args: &AddArgs, registration: &Registration<'_>, mut secret: Secret, cx: &Context) -> Result<String, Failure> {
    let known = place::secrets(cx).await?;
    let api = place::api(cx).await?;
    let doing = format!("write a Secret in namespace {}", registration.namespace);
    let Some(present) = known.iter().find(|one| same(one, registration)) else {
        api.create(&PostParams::default(), &secret).await.map_err(|error| cx.explain(&error, &doing))?;
        return Ok(registration.name());
    };
    let name = present.metadata.name.clone().unwrap_or_default();
    if !args.upsert {
        return Err(Failure::new(format!("{} is registered already, in Secret {name}", registration.url))
            .with_hint("--upsert replaces what is registered"));
    }
    refuse_managed(present, "change")?;
    // Labels and annotations of others stay; fields that are no longer given go.
    let gone = present.data.iter().flatten().map(|(field, _)| field.clone());
    let given = secret.data.take().unwrap_or_default();
    let mut data: serde_json::Map<String, serde_json::Value> =
        gone.filter(|field| !given.contains_key(field)).map(|field| (field, serde_json::Value::Null)).collect();
    data.extend(given.into_iter().filter_map(|(field, value)| Some((field, serde_json::to_value(value).ok()?))));
    let patch = serde_json::json!({ "data": data });
    api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await.map_err(|error| cx.explain(&error, &doing))?;
    Ok(name)
}

/// Refuses to touch a Secret that something else writes again.
pub(super) fn refuse_managed(secret: &Secret, doing: &str) -> Result<(), Failure> {
    let Some(owner) = secret.metadata.owner_references.iter().flatten().next() else { return Ok(()) };
    let name = secret.metadata.name.as_deref().unwrap_or_default();
    Err(Failure::new(format!("cannot {doing} Secret {name}: {} {} would write it again", owner.kind, owner.name))
        .with_hint(format!("{doing} the {} instead, in Git if it comes from there", owner.kind)))
}

async fn seal(args: &AddArgs, secret: &Secret, cx: &Context) -> CommandResult {
    let certificate = certificate::obtain(args.cert.as_deref(), "sealed-secrets-controller", cx).await?;
    certificate::refuse_expired(&certificate, age::now())?;
    let object = Object::from_value(manifest(secret)).map_err(|_| Failure::new("cannot write the Secret"))?;
    let target = Target::new(object.namespace(), object.name(), Scope::Strict);
    stream::say(&format!("sealing {target}, scope {}", Scope::Strict));
    let sealed = seal_secret(&object, &SealedFor::itself(target), &certificate, &mut || SessionKey::new(rand::random()))?;
    print_document(args.output.unwrap_or(Output::Yaml), &sealed.into_value())?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        args: AddArgs,
    }

    fn parse(arguments: &[&str]) -> AddArgs {
        Program::try_parse_from([&["add"], arguments].concat()).unwrap().args
    }

    #[test]
    fn a_password_in_an_argument_is_refused_and_not_repeated() {
        for arguments in [&["https://u:marker-password@h/a"][..], &["https://h/a", "--proxy", "http://u:marker-password@p"]] {
            let failure = check(&parse(arguments)).unwrap_err();
            assert!(!format!("{failure:?}").contains("marker"), "{failure:?}");
        }
        for fine in ["https://user@h/a", "ssh://git@h:22/a", "git@h:a", "https://h/a:b@c"] {
            assert!(check(&parse(&[fine])).is_ok(), "{fine}");
        }
    }

    #[test]
    fn options_become_fields_of_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "marker-password\n").unwrap();
        let args =
            parse(&["https://h/a", "--username", "u", "--password-file", file.to_str().unwrap(), "--insecure", "--name", "n"]);
        let fields = fields(&args).unwrap();
        let shown: Vec<(&str, &str)> = fields.iter().map(|(field, text)| (*field, text.reveal())).collect();
        let expected = [("username", "u"), ("password", "marker-password"), ("type", "git"), ("name", "n"), ("insecure", "true")];
        assert_eq!(shown, expected);
        assert!(!format!("{fields:?}").contains("marker"));
    }
}
