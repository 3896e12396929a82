//! `app set`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::change::Change;
use super::create::{DryRun, check, print, replace_spec, tell};
use super::{AppRef, select};
use crate::api::Application;
use crate::cli::output::Output;
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::resource::annotations::TRACKING_ID;
use crate::resource::yaml::{self, Edit};
use crate::resource::{Object, yaml::edit};
use crate::ui::{problem, stream};

/// Change fields of an Application, in the cluster or in a file.
///
/// In a file comments and order stay as they are. An Application that another one manages is better changed in Git.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops app set web --revision v1.2 --auto=off")]
pub struct SetArgs {
    /// The Application, as NAME or NAMESPACE/NAME; with -f it may be left out when the file holds one
    #[arg(required_unless_present = "file")]
    name: Option<String>,
    /// File to change instead of the cluster
    #[arg(short = 'f', long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    change: Change,
    /// Which of several sources to change, from 1
    #[arg(long, value_name = "NUMBER")]
    source_position: Option<usize>,
    /// Only print the result (client), or let the API server check it (server)
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "server",
          value_parser = DryRun::parse)]
    dry_run: Option<DryRun>,
    /// Output format: json, yaml or name
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_object)]
    output: Option<Output>,
}

/// Changes.
///
/// # Errors
/// When the flags do not fit the Application, the file cannot be changed in place, or the API server refuses.
pub async fn run(args: SetArgs, cx: &Context) -> CommandResult {
    if let Some(file) = &args.file {
        return in_file(file, &args, cx);
    }
    let reference = AppRef::parse(args.name.as_deref().unwrap_or_default(), cx)?;
    let app = select::get(cx, &reference).await?;
    if let Some(reason) = &app.unreadable {
        return Err(Failure::new(format!("{}: {reason}", app.name())));
    }
    let mode = args.dry_run.unwrap_or_default();
    if app.app.annotation(TRACKING_ID).is_some() {
        let text = format!("{reference} is managed from Git, which may undo this");
        stream::say(&problem::note(&text, Some("kubectl gitops app set -f FILE changes the file")));
    }
    let spec = changed(app.app.clone(), &app.raw["spec"], &args)?;
    let done = if spec == app.raw["spec"] { "unchanged" } else { "changed" };
    let object = match mode {
        _ if done == "unchanged" => app.raw,
        DryRun::Client => {
            let mut object = app.raw;
            object["spec"] = spec;
            object
        }
        DryRun::No | DryRun::Server => {
            replace_spec(cx, app, mode == DryRun::Server, |now| changed(now.app.clone(), &now.raw["spec"], &args)).await?
        }
    };
    match args.output.or_else(|| (mode == DryRun::Client).then_some(Output::Yaml)) {
        Some(output) => print(&object, output)?,
        None => tell(&reference, done, mode),
    }
    Ok(Exit::Done)
}

/// The spec after the change, in which everything else is as it was written.
fn changed(mut app: Application, written: &Value, args: &SetArgs) -> Result<Value, Failure> {
    let cannot_write = |error: serde_json::Error| Failure::new("cannot write the Application").with_cause(&error);
    let before = serde_json::to_value(&app.spec).map_err(cannot_write)?;
    args.change.apply(&mut app, args.source_position)?;
    let after = serde_json::to_value(&app.spec).map_err(cannot_write)?;
    if before != after {
        check(&app)?;
    }
    Ok(carried(&before, &after, written))
}

/// Carries the difference of two values over to a third, which means the same as the first and is written in its own way.
fn carried(before: &Value, after: &Value, written: &Value) -> Value {
    if before == after {
        return written.clone();
    }
    match (before, after, written) {
        (Value::Object(before), Value::Object(after), Value::Object(written)) => {
            let mut result = written.clone();
            for key in before.keys().filter(|key| !after.contains_key(*key)) {
                result.remove(key);
            }
            for (key, value) in after {
                let old = before.get(key).unwrap_or(&Value::Null);
                let new = written.get(key).map_or_else(|| value.clone(), |written| carried(old, value, written));
                if before.get(key) != Some(value) {
                    result.insert(key.clone(), new);
                }
            }
            Value::Object(result)
        }
        (Value::Array(before), Value::Array(after), Value::Array(written))
            if before.len() == after.len() && before.len() == written.len() =>
        {
            let items = before.iter().zip(after).zip(written);
            Value::Array(items.map(|((before, after), written)| carried(before, after, written)).collect())
        }
        _ => after.clone(),
    }
}

fn in_file(file: &Path, args: &SetArgs, cx: &Context) -> CommandResult {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| Failure::new(format!("cannot read {shown}")).with_cause(&error))?;
    let documents = yaml::parse_stream(&text).map_err(|error| Failure::new(format!("cannot read {shown}")).with_cause(&error))?;
    let wanted = args.name.as_deref().map(|name| AppRef::parse(name, cx)).transpose()?;
    let is_meant = |object: &Object| {
        let namespace_fits = |app: &AppRef| object.namespace().is_empty() || object.namespace() == app.namespace;
        object.kind() == "Application"
            && object.group() == "argoproj.io"
            && wanted.as_ref().is_none_or(|app| app.name == object.name() && namespace_fits(app))
    };
    let mut found: Vec<(std::ops::Range<usize>, Object)> = documents
        .into_iter()
        .filter_map(|document| Some((document.span, Object::from_value(document.value).ok()?)))
        .filter(|(_, object)| is_meant(object))
        .collect();
    let (Some((span, object)), true) = (found.pop(), found.is_empty()) else {
        return Err(
            Failure::new(format!("{shown} does not hold exactly one such Application")).with_hint("name it: NAMESPACE/NAME")
        );
    };
    let mut value = object.into_value();
    let app: Application = serde_json::from_value(value.clone())
        .map_err(|error| Failure::new(format!("{shown}: the Application cannot be read")).with_cause(&error))?;
    let name = app.name().to_owned();
    value["spec"] = changed(app, &value["spec"], args)?;
    let edited = edit(&text, &[Edit { span, wanted: value }])?;
    if args.dry_run.unwrap_or_default() == DryRun::No && edited != text {
        std::fs::write(file, &edited).map_err(|error| Failure::new(format!("cannot write {shown}")).with_cause(&error))?;
        stream::say(&format!("{name} changed in {shown}"));
    } else if edited == text {
        stream::say(&format!("{name} is unchanged in {shown}"));
    } else {
        stream::out(&edited);
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_difference_is_carried_over() {
        let before = json!({"source": {"path": "a"}, "list": [{"x": 1}, {"x": 2}]});
        let after = json!({"source": {"path": "b"}, "list": [{"x": 1}, {"x": 3}], "new": true});
        let written =
            json!({"source": {"path": "a", "recurse": false}, "list": [{"x": 1, "y": ""}, {"x": 2, "y": ""}], "empty": {}});
        let expected = json!({"source": {"path": "b", "recurse": false}, "list": [{"x": 1, "y": ""}, {"x": 3, "y": ""}], "empty": {},
            "new": true});
        assert_eq!(carried(&before, &after, &written), expected);
        assert_eq!(carried(&before, &before, &written), written);
        assert_eq!(carried(&json!({"a": 1}), &json!({}), &json!({"a": 1, "b": 2})), json!({"b": 2}));
    }
}
