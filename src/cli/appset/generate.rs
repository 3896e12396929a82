//! `appset generate`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use kube::api::ListParams;
use serde_json::Value;

use super::answers::Answers;
use crate::api::ApplicationSet;
use crate::appset::plan::{Plan, Settings, State, Step, plan};
use crate::appset::{Cluster, Generation, Inputs, Invalid, generate, normalised, validate};
use crate::cli::check::input;
use crate::cli::output::{Output, list_of, print_document};
use crate::cli::{CommandResult, Context, Exit, Failure, app};
use crate::resource::Object;
use crate::ui::table::Table;
use crate::ui::{age, stream};
use crate::world::ThisMachine;

/// Print the Applications that an ApplicationSet asks for, and what would be created, changed and deleted.
///
/// Runs the controller's own functions on this machine and writes nothing. Without --live and --compare no Application is taken
/// to exist, and no cluster is asked. Repositories of git generators are fetched unless --repo names a folder for them; the
/// folder is read as it is, with what is not committed. Ends with 0 when all Applications are valid, 1 when some are not, 2 when
/// nothing can be generated.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops appset generate -f appset.yaml --repo https://git.example/fleet.git=.")]
pub struct GenerateArgs {
    /// File with the ApplicationSet; `-` is standard input
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
    /// Folder to read a repository from: URL=FOLDER, or FOLDER for all of them. Repeatable
    #[arg(long = "repo", value_name = "URL=FOLDER")]
    repos: Vec<String>,
    /// File with cluster Secrets, for clusters generators and destinations by name
    #[arg(long, value_name = "FILE")]
    clusters: Option<PathBuf>,
    /// File with the Applications that exist, as `kubectl get applications -o yaml` prints them
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    live: Option<PathBuf>,
    /// Compare with the Applications of the cluster
    #[arg(long)]
    compare: bool,
    /// Output format: json, yaml or name print the Applications
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_object)]
    output: Option<Output>,
}

/// Generates and prints.
///
/// # Errors
/// When a file cannot be read, or nothing can be generated.
pub async fn run(args: GenerateArgs, cx: &Context) -> CommandResult {
    let mut set = read_set(&args, cx)?;
    let live = args.read_live(&set, cx).await?;
    let mut inputs = Inputs { clusters: args.read_clusters()?, ..Inputs::default() };
    // Which projects there are nobody here knows: all that are named.
    inputs.projects.extend(set.spec.template.pointer("/spec/project").and_then(Value::as_str).map(str::to_owned));
    let answers = Answers::new(&args.repos).map_err(Failure::new)?;
    let applications = generate_all(&set, &mut inputs, &answers).await?;
    inputs.projects.extend(applications.iter().map(|app| text(app, "/spec/project").to_owned()));
    let generated: BTreeSet<String> = applications.iter().map(|app| text(app, "/metadata/name").to_owned()).collect();
    let (wanted, invalid) = validate(applications, &inputs);
    // Of the live ones those that name it belong to it.
    set.metadata.uid = owner_uid(&live, set.name()).or(set.metadata.uid);
    let state = State { wanted: &wanted, generated: &generated, live: &live, clusters: &inputs.clusters };
    let settings = Settings { policy_override: true, ..Settings::default() };
    let made = plan(&set, state, &settings, age::now()).map_err(Failure::new)?;
    args.print(&wanted, &live, &made)?;
    Ok(report(&invalid, &made))
}

fn read_set(args: &GenerateArgs, cx: &Context) -> Result<ApplicationSet, Failure> {
    let object = input::object(&args.file)?;
    if object.kind() != "ApplicationSet" {
        return Err(Failure::new(format!("{} holds a {}, not an ApplicationSet", args.file.display(), object.kind())));
    }
    let mut set: ApplicationSet = serde_json::from_value(object.into_value())
        .map_err(|error| Failure::new(format!("{} is no ApplicationSet", args.file.display())).with_cause(&error))?;
    if set.metadata.namespace.is_none() {
        set.metadata.namespace = Some(cx.application_namespace());
    }
    Ok(set)
}

async fn generate_all(set: &ApplicationSet, inputs: &mut Inputs, answers: &Answers) -> Result<Vec<Value>, Failure> {
    loop {
        match generate(set, inputs, &mut ThisMachine) {
            Ok(Generation::Applications(applications)) => return Ok(applications),
            Ok(Generation::Needs(requests)) => {
                for request in requests {
                    let answer = answers.answer(&request).await;
                    inputs.answers.insert(request, answer);
                }
            }
            Err(error) => {
                return Err(Failure::new(error.to_string()).with_hint("the controller would create, change and delete nothing"));
            }
        }
    }
}

impl GenerateArgs {
    async fn read_live(&self, set: &ApplicationSet, cx: &Context) -> Result<Vec<Value>, Failure> {
        if let Some(file) = &self.live {
            let here = |object: &Object| {
                object.kind() == "Application" && (object.namespace().is_empty() || object.namespace() == set.namespace())
            };
            return Ok(input::objects(file)?.into_iter().filter(here).map(Object::into_value).collect());
        }
        if !self.compare {
            return Ok(Vec::new());
        }
        let found = app::api(cx.client().await?, set.namespace()).list(&ListParams::default()).await;
        let found = found.map_err(|error| cx.explain(&error, "list applications"))?;
        found
            .items
            .into_iter()
            .map(|one| serde_json::to_value(one).map_err(|error| Failure::new("cannot read an Application").with_cause(&error)))
            .collect()
    }

    fn read_clusters(&self) -> Result<Vec<Cluster>, Failure> {
        let Some(file) = &self.clusters else { return Ok(Vec::new()) };
        Ok(input::objects(file)?.iter().filter(|object| object.kind() == "Secret").map(cluster).collect())
    }

    fn print(&self, wanted: &[Value], live: &[Value], made: &Plan) -> Result<(), Failure> {
        let output = self.output.unwrap_or_default();
        match output {
            Output::Json | Output::Yaml => {
                let whole = |app: &Value| {
                    let mut app = app.clone();
                    app["apiVersion"] = "argoproj.io/v1alpha1".into();
                    app["kind"] = "Application".into();
                    app
                };
                print_document(output, &list_of(wanted.iter().map(whole).collect()))
            }
            Output::Name => {
                wanted.iter().for_each(|app| stream::out(&format!("application.argoproj.io/{}\n", text(app, "/metadata/name"))));
                Ok(())
            }
            Output::Human | Output::Wide => {
                let table = table(wanted, live, made);
                if !table.is_empty() {
                    stream::out(&table.render(stream::width(), true));
                }
                Ok(())
            }
        }
    }
}

fn table(wanted: &[Value], live: &[Value], made: &Plan) -> Table {
    let mut table = Table::new(&["ACTION", "NAME", "PROJECT", "CLUSTER", "NAMESPACE", "SOURCE", "CHANGES"]);
    for app in wanted {
        let name = text(app, "/metadata/name");
        let step = made.steps.iter().find(|step| step.name() == name);
        let (action, changes) = match step {
            Some(Step::Create(_)) => ("create", String::new()),
            Some(Step::Update { patch, .. }) => ("change", changed_fields(patch)),
            _ => ("keep", String::new()),
        };
        table.row(row(action, app, changes));
    }
    let going = made.steps.iter().filter(|step| matches!(step, Step::Delete { .. })).map(|step| (step.name(), "delete"));
    let held = made.held.iter().flat_map(|held| held.names.iter().map(|name| (name.as_str(), "hold")));
    for (name, action) in going.chain(held) {
        let app = live.iter().find(|app| text(app, "/metadata/name") == name).cloned().unwrap_or_default();
        table.row(row(action, &normalised(app.clone()).unwrap_or(app), String::new()));
    }
    table
}

fn row(action: &str, app: &Value, changes: String) -> Vec<String> {
    let cell = |pointer: &str| text(app, pointer).to_owned();
    let server = cell("/spec/destination/server");
    let cluster = if server.is_empty() { cell("/spec/destination/name") } else { server };
    let source = app.pointer("/spec/sources/0").or_else(|| app.pointer("/spec/source")).cloned().unwrap_or_default();
    let inside = if text(&source, "/chart").is_empty() { text(&source, "/path") } else { text(&source, "/chart") };
    let source = format!("{} {inside}", text(&source, "/repoURL"));
    vec![
        action.to_owned(),
        cell("/metadata/name"),
        cell("/spec/project"),
        cluster,
        cell("/spec/destination/namespace"),
        source,
        changes,
    ]
}

/// The fields that a patch sets, as paths.
fn changed_fields(patch: &Value) -> String {
    fn collect(value: &Value, path: &str, into: &mut Vec<String>) {
        match value.as_object() {
            Some(map) => map.iter().for_each(|(key, value)| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(value, &path, into);
            }),
            None => into.push(path.to_owned()),
        }
    }
    let mut fields = Vec::new();
    collect(patch, "", &mut fields);
    fields.join(", ")
}

/// Says what is wrong with single Applications and what waits.
fn report(invalid: &Invalid, made: &Plan) -> Exit {
    for (name, problem) in invalid.problems.iter().chain(&made.problems) {
        stream::say(&format!("error: {name}: {problem}"));
    }
    if let Some(held) = &made.held {
        stream::say(&format!("warning: {}", held.message));
    }
    if invalid.problems.is_empty() && made.problems.is_empty() { Exit::Done } else { Exit::No }
}

/// A cluster Secret as a manifest has it, in `data` or in `stringData`.
fn cluster(secret: &Object) -> Cluster {
    let value = |key: &str| match secret.get(&["stringData", key]).and_then(Value::as_str) {
        Some(text) => text.to_owned(),
        None => {
            let encoded = secret.get(&["data", key]).and_then(Value::as_str).unwrap_or_default();
            crate::resource::base64::decode(encoded).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
        }
    };
    let map = |field: &str| {
        secret.get(&["metadata", field]).and_then(|map| serde_json::from_value(map.clone()).ok()).unwrap_or_default()
    };
    Cluster {
        name: value("name"),
        server: value("server").trim_end_matches('/').to_owned(),
        project: value("project"),
        labels: map("labels"),
        annotations: map("annotations"),
    }
}

fn owner_uid(live: &[Value], name: &str) -> Option<String> {
    let references = live.iter().filter_map(|app| app.pointer("/metadata/ownerReferences")?.as_array()).flatten();
    let mut own = references.filter(|reference| reference["kind"] == "ApplicationSet" && reference["name"] == name);
    own.find_map(|reference| reference["uid"].as_str()).map(str::to_owned)
}

fn text<'a>(app: &'a Value, pointer: &str) -> &'a str {
    app.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
