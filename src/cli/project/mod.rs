//! Commands about AppProjects.

pub mod check;
pub mod get;
pub mod list;

use clap::Subcommand;
use kube::api::{Api, ApiResource, DynamicObject};
use serde_json::Value;

use super::{CommandResult, Context, Failure};
use crate::api::AppProject;

#[derive(Debug, Subcommand)]
pub(super) enum ProjectCommand {
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    Get(get::GetArgs),
    Check(check::CheckArgs),
}

pub(super) async fn run(command: ProjectCommand, cx: &Context) -> CommandResult {
    match command {
        ProjectCommand::List(args) => list::run(args, cx).await,
        ProjectCommand::Get(args) => get::run(args, cx).await,
        ProjectCommand::Check(args) => check::run(args, cx).await,
    }
}

/// The API of AppProjects, which live in the control namespace.
async fn api(cx: &Context) -> Result<Api<DynamicObject>, Failure> {
    let resource = ApiResource::erase::<AppProject>(&());
    Ok(Api::namespaced_with(cx.client().await?, &cx.application_namespace(), &resource))
}

/// One project, as the API server holds it.
async fn read(name: &str, cx: &Context) -> Result<Value, Failure> {
    let namespace = cx.application_namespace();
    let found = api(cx).await?.get_opt(name).await;
    let found = found.map_err(|error| cx.explain(&error, &format!("read appproject {name:?} in {namespace:?}")))?;
    let Some(project) = found else {
        let failure = Failure::new(format!("appproject {name:?} not found in {namespace:?}"));
        return Err(failure.with_hint("kubectl gitops project list"));
    };
    serde_json::to_value(project).map_err(|error| Failure::new("cannot read the answer").with_cause(&error))
}

fn decode(project: &Value) -> Result<AppProject, Failure> {
    serde_json::from_value(project.clone()).map_err(|error| Failure::new("cannot read this AppProject").with_cause(&error))
}
