//! `repo rm`.

use clap::Args;
use k8s_openapi::api::core::v1::Secret;
use kube::api::DeleteParams;

use super::add::refuse_managed;
use super::place;
use super::secret::Registration;
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::source::credentials::{Catalogue, Trust};
use crate::ui::{confirm, stream};

/// Forget a repository: deletes the Secret that says how it is reached.
///
/// Applications that use it stay as they are, and cannot load new commits if it needs a login.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops repo rm https://git.example/shop.git --yes")]
pub struct RmArgs {
    /// URL as it is registered
    #[arg(value_name = "URL")]
    url: String,
    /// The one that only this project may use
    #[arg(long, value_name = "PROJECT", conflicts_with = "template")]
    project: Option<String>,
    /// The login for all repositories whose URL begins so
    #[arg(long)]
    template: bool,
    /// Do not ask
    #[arg(short, long, alias = "assumeYes")]
    yes: bool,
}

/// Forgets it.
///
/// # Errors
/// When it is not registered, nobody can be asked, or the Secret cannot be deleted.
pub(super) async fn run(args: RmArgs, cx: &Context) -> CommandResult {
    let registration = Registration {
        namespace: &cx.flags.controller_namespace,
        url: args.url.trim(),
        project: args.project.as_deref().unwrap_or_default(),
        is_template: args.template,
    };
    let secrets = place::secrets(cx).await?;
    let meant: Vec<&Secret> = secrets.iter().filter(|secret| is_meant(secret, &registration)).collect();
    let Some(first) = meant.first() else {
        return Err(Failure::new(format!("{} is not registered in namespace {}", registration.url, registration.namespace))
            .with_hint("kubectl gitops repo list shows what is; --project and --template choose among equal URLs"));
    };
    meant.iter().try_for_each(|secret| refuse_managed(secret, "delete"))?;
    let name = first.metadata.name.clone().unwrap_or_default();
    if !args.yes {
        if !confirm::can_ask() {
            return Err(Failure::new(format!("refusing to delete Secret {name} without --yes")));
        }
        let answer = confirm::ask(&format!("Delete Secret {name}, which says how {} is reached?", registration.url));
        if !answer.map_err(|error| Failure::new("cannot read the answer").with_cause(&error))? {
            return Ok(Exit::No);
        }
    }
    let api = place::api(cx).await?;
    for secret in meant {
        let name = secret.metadata.name.as_deref().unwrap_or_default();
        api.delete(name, &DeleteParams::default()).await.map_err(|error| cx.explain(&error, &format!("delete Secret {name}")))?;
        stream::say(&format!("{} forgotten, Secret {}/{name} deleted", registration.url, registration.namespace));
    }
    Ok(Exit::Done)
}

fn is_meant(secret: &Secret, registration: &Registration<'_>) -> bool {
    let catalogue = Catalogue::new([secret], Trust::default());
    catalogue.listed().any(|one| registration.is_for(one.url, one.project, one.is_template))
}
