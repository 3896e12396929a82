//! What `app create` and `app set` say about an Application, as flags. Pure.

use clap::{ArgAction, Args};

use super::SourceOptions;
use crate::api::Application;
use crate::api::application::{ApplicationSource, SyncPolicy, SyncPolicyAutomated};
use crate::cli::Failure;

/// The cluster that the controller runs in.
const THIS_CLUSTER: &str = "https://kubernetes.default.svc";

/// Fields of an Application.
#[derive(Debug, Clone, Default, Args)]
pub struct Change {
    /// URL of the Git repository, Helm repository or OCI artifact
    #[arg(long, value_name = "URL")]
    repo: Option<String>,
    /// Folder in the repository
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Name of the chart, in a Helm repository
    #[arg(long, value_name = "NAME", alias = "helm-chart")]
    chart: Option<String>,
    /// Branch, tag, commit or version
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    /// Project
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// URL of the destination cluster; this cluster unless --dest-name is given
    #[arg(long, value_name = "URL", conflicts_with = "dest_name")]
    dest_server: Option<String>,
    /// Name of the destination cluster
    #[arg(long, value_name = "NAME")]
    dest_name: Option<String>,
    /// Namespace of objects that name none
    #[arg(long, value_name = "NAMESPACE")]
    dest_namespace: Option<String>,
    /// Sync without being asked: on or off
    #[arg(long, value_name = "on|off", num_args = 0..=1, require_equals = true, default_missing_value = "on",
          value_parser = on_off, alias = "sync-policy")]
    auto: Option<bool>,
    /// With --auto: delete objects that left the source
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", hide_possible_values = true, alias = "auto-prune")]
    prune: Option<bool>,
    /// With --auto: undo changes made in the cluster
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", hide_possible_values = true)]
    self_heal: Option<bool>,
    /// With --auto: allow a sync that deletes everything
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", hide_possible_values = true)]
    allow_empty: Option<bool>,
    /// Sync option, as KEY=VALUE; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    sync_option: Vec<String>,
    #[command(flatten)]
    source: SourceOptions,
}

fn on_off(text: &str) -> Result<bool, String> {
    match text {
        "on" | "auto" | "automated" | "automatic" | "true" => Ok(true),
        "off" | "none" | "manual" | "false" => Ok(false),
        _ => Err("offered are: on, off".into()),
    }
}

impl Change {
    /// Sets what was given on an Application; `position` chooses among several sources, from 1.
    ///
    /// # Errors
    /// When a flag is about a source and it is not clear which, or about automated sync while that is off.
    pub fn apply(&self, app: &mut Application, position: Option<usize>) -> Result<(), Failure> {
        if let Some(project) = &self.project {
            app.spec.project.clone_from(project);
        }
        self.destination(app);
        self.sync_policy(app)?;
        let name = app.name().to_owned();
        let mut changed = match position {
            None if app.is_multi_source() => app.spec.sources[0].clone(),
            None => app.spec.source.clone().unwrap_or_default(),
            Some(number) => source_at(app, number)?.clone(),
        };
        let before = changed.clone();
        self.source_fields(&mut changed);
        self.source.apply(&mut changed);
        if changed == before {
            return Ok(());
        }
        match position {
            None if app.is_multi_source() => {
                return Err(Failure::new(format!("{name} has several sources")).with_hint("--source-position 1 is the first"));
            }
            None => app.spec.source = Some(changed),
            Some(number) => *source_at(app, number)? = changed,
        }
        Ok(())
    }

    /// The destination of a new Application is this cluster unless something else is said.
    pub fn fill_in(app: &mut Application) {
        if app.spec.project.is_empty() {
            app.spec.project = "default".into();
        }
        let destination = &mut app.spec.destination;
        if destination.server.is_empty() && destination.name.is_empty() {
            destination.server = THIS_CLUSTER.into();
        }
    }

    fn destination(&self, app: &mut Application) {
        let destination = &mut app.spec.destination;
        if let Some(server) = &self.dest_server {
            destination.server.clone_from(server);
            destination.name.clear();
        }
        if let Some(name) = &self.dest_name {
            destination.name.clone_from(name);
            destination.server.clear();
        }
        if let Some(namespace) = &self.dest_namespace {
            destination.namespace.clone_from(namespace);
        }
    }

    fn source_fields(&self, source: &mut ApplicationSource) {
        for (field, value) in [
            (&mut source.repo_url, &self.repo),
            (&mut source.path, &self.path),
            (&mut source.chart, &self.chart),
            (&mut source.target_revision, &self.revision),
        ] {
            if let Some(value) = value {
                field.clone_from(value);
            }
        }
    }

    fn sync_policy(&self, app: &mut Application) -> Result<(), Failure> {
        let mut policy = app.spec.sync_policy.clone().unwrap_or_default();
        match self.auto {
            Some(true) => policy.automated.get_or_insert_default().enabled = None,
            Some(false) => policy.automated = None,
            None => {}
        }
        self.automated(&mut policy)?;
        for option in &self.sync_option {
            let key = |text: &str| text.split('=').next().unwrap_or_default().to_owned();
            policy.sync_options.retain(|old| key(old) != key(option));
            policy.sync_options.push(option.clone());
        }
        app.spec.sync_policy = (policy != SyncPolicy::default()).then_some(policy);
        Ok(())
    }

    fn automated(&self, policy: &mut SyncPolicy) -> Result<(), Failure> {
        let given = [self.prune, self.self_heal, self.allow_empty];
        if given.iter().all(Option::is_none) {
            return Ok(());
        }
        let Some(SyncPolicyAutomated { prune, self_heal, allow_empty, .. }) = &mut policy.automated else {
            return Err(Failure::new("--prune, --self-heal and --allow-empty belong to automated sync, which is off")
                .with_hint("add --auto"));
        };
        for (field, value) in [prune, self_heal, allow_empty].into_iter().zip(given) {
            *field = value.unwrap_or(*field);
        }
        Ok(())
    }
}

fn source_at(app: &mut Application, number: usize) -> Result<&mut ApplicationSource, Failure> {
    let (name, count) = (app.name().to_owned(), app.spec.sources.len());
    let missing =
        || Failure::new(format!("{name} has no source number {number}")).with_hint(format!("it has {count}, counted from 1"));
    number.checked_sub(1).and_then(|index| app.spec.sources.get_mut(index)).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        change: Change,
    }

    fn changed(spec: Value, position: Option<usize>, flags: &[&str]) -> Result<Value, String> {
        let mut app = Application { spec: serde_json::from_value(spec).unwrap(), ..Application::default() };
        app.metadata.name = Some("web".into());
        let line = Line::try_parse_from(["x"].iter().chain(flags)).unwrap();
        line.change.apply(&mut app, position).map_err(|failure| failure.what)?;
        Ok(serde_json::to_value(app.spec).unwrap())
    }

    #[test]
    fn only_what_is_given_changes_and_unknown_fields_stay() {
        let spec = json!({"project": "shop", "destination": {"server": "https://a", "namespace": "web"}, "novel": 1,
            "source": {"repoURL": "u", "path": "p", "strange": true}, "syncPolicy": {"syncOptions": ["A=1", "B=2"]}});
        assert_eq!(changed(spec.clone(), None, &[]).unwrap(), spec);
        let after = changed(
            spec,
            None,
            &["--revision", "v2", "--dest-name", "prod", "--auto", "--prune", "--sync-option", "A=3", "--kustomize-image", "x:1"],
        );
        let expected = json!({"project": "shop", "destination": {"name": "prod", "namespace": "web"}, "novel": 1,
            "source": {"repoURL": "u", "path": "p", "targetRevision": "v2", "strange": true, "kustomize": {"images": ["x:1"]}},
            "syncPolicy": {"automated": {"prune": true}, "syncOptions": ["B=2", "A=3"]}});
        assert_eq!(after.unwrap(), expected);
    }

    #[test]
    fn automated_sync_goes_on_and_off() {
        let spec = |policy: Value| json!({"project": "", "destination": {}, "syncPolicy": policy});
        let paused = spec(json!({"automated": {"prune": true, "enabled": false}}));
        let on = changed(paused.clone(), None, &["--auto=on"]).unwrap();
        assert_eq!(on["syncPolicy"], json!({"automated": {"prune": true}}));
        assert_eq!(changed(paused, None, &["--auto=off"]).unwrap().get("syncPolicy"), None);
        let error = changed(spec(json!({})), None, &["--self-heal"]).unwrap_err();
        assert!(error.contains("automated sync"), "{error}");
    }

    #[test]
    fn one_of_several_sources_is_chosen_by_its_position() {
        let spec = json!({"project": "", "destination": {}, "sources": [{"repoURL": "a"}, {"repoURL": "b"}]});
        let after = changed(spec.clone(), Some(2), &["--revision", "v2"]).unwrap();
        assert_eq!(after["sources"], json!([{"repoURL": "a"}, {"repoURL": "b", "targetRevision": "v2"}]));
        assert!(changed(spec.clone(), None, &["--revision", "v2"]).unwrap_err().contains("several sources"));
        assert!(changed(spec.clone(), Some(3), &["--revision", "v2"]).unwrap_err().contains("no source number 3"));
        assert!(changed(spec, None, &["--project", "shop"]).is_ok(), "what is not about a source needs none");
    }
}
