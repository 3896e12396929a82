//! Compares Applications with the cluster as the controller does, on the user's machine and with the user's rights.
//!
//! ```text
//!  spec ──Loader──> manifests ──prepare──> targets ──┐
//!                                                    ├─predict──> Comparison ──tasks::tasks──> [ObjectDiff]
//!  status.resources ───────────────────────> live ───┘
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream as streams};

use super::predict::{Prediction, predict, tell_guesses, unanswered};
use crate::advice::Advice;
use crate::api::Application;
use crate::api::application::{Operation, OperationState, SyncOperation};
use crate::cli::app::workshop::{self, Sourced, Workshop};
use crate::cli::app::{App, revisions};
use crate::cli::{Context, Failure};
use crate::cluster::{ClusterError, Discovery, Lens, LiveObject, Writer};
use crate::customisation::ResourceSettings;
use crate::diff::{ObjectDiff, Rules, normalise_live, normalise_target, object_diff};
use crate::project;
use crate::render::Tools;
use crate::resource::tracking::instance_name;
use crate::resource::{GroupKind, Object, ResourceKey};
use crate::sync::comparison::SyncCode;
use crate::sync::hooks::{self, Role};
use crate::sync::targets::{self, Place};
use crate::sync::tasks::{self, Action};
use crate::sync::{Comparison, Item, Policy, Targets, Task};
use crate::ui::diff_view::AppDiff;
use crate::ui::{problem, stream};

/// Requests to the API server at a time.
const REQUESTS: usize = 8;

type Live = BTreeMap<ResourceKey, Arc<LiveObject>>;

/// How an Application differs, and what more was found out on the way.
#[derive(Debug)]
pub(in crate::cli) struct Compared {
    pub diff: AppDiff,
    /// Objects that differ, whole.
    live: BTreeMap<ResourceKey, Object>,
    source_types: Vec<String>,
}

impl Compared {
    /// What rendered the Application's source; empty when it has several.
    pub fn source_type(&self) -> &str {
        match self.source_types.as_slice() {
            [only] => only,
            _ => "",
        }
    }

    /// The live object as the API server gave it, with its managedFields; see [`Comparer::compare_whole`].
    pub fn live_object(&self, key: &ResourceKey) -> Option<&Object> {
        self.live.get(key)
    }
}

/// Compares Applications; what several of them use is fetched once.
pub(in crate::cli) struct Comparer<'a> {
    cx: &'a Context,
    workshop: Workshop,
    discovery: Discovery,
    writer: Writer,
    settings: Arc<ResourceSettings>,
    lens: Lens,
}

impl<'a> Comparer<'a> {
    pub async fn new(cx: &'a Context) -> Result<Self, Failure> {
        let client = cx.client().await?;
        let data = workshop::settings(cx, &client).await;
        let lens = Lens::new(resource_settings(&data));
        Ok(Self {
            cx,
            workshop: Workshop::new(Tools::from_config_map(&data))?,
            settings: lens.settings(),
            lens,
            discovery: Discovery::new(client.clone()),
            writer: Writer::new(client),
        })
    }

    /// Says what a sync of an Application would change.
    pub async fn compare(&self, app: &App, revision: Option<&str>) -> Result<AppDiff, Failure> {
        self.compare_at(app, revision).await.map(|compared| compared.diff)
    }

    /// As [`Self::compare`], and reads the objects that differ once more: comparing forgets most of their managedFields.
    pub async fn compare_whole(&self, app: &App, revision: Option<&str>) -> Result<Compared, Failure> {
        let mut compared = self.compare_at(app, revision).await?;
        let differing = compared.diff.objects.iter().filter_map(|object| Some((&object.key, object.live.as_ref()?.version())));
        for (key, version) in differing {
            let live = self.get(key, version).await.map_err(|error| unanswered(self.cx, key, &error))?;
            compared.live.extend(live.map(|live| (key.clone(), live)));
        }
        Ok(compared)
    }

    /// As [`Self::compare`], with what rendered the sources.
    pub async fn compare_at(&self, app: &App, revision: Option<&str>) -> Result<Compared, Failure> {
        check(app, revision)?;
        let name = app.full_name();
        let app = &app.app;
        let instance = instance_name(app.namespace(), app.name(), &self.cx.flags.controller_namespace);
        let sourced = self.load(app, &instance, revision).await?;
        let targets = self.targets(app, &instance, sourced.objects).await?;
        let live = self.live(app, &instance, &targets).await?;
        let (predictions, rules) = self.predictions(app, &targets, &live).await?;
        tell_guesses(predictions.iter());
        let differing = object_diffs(app, targets, &live, &predictions, &rules);
        let unseen = |(key, diff): &(ResourceKey, Option<ObjectDiff>)| {
            diff.is_none() && matches!(predictions.get(key), Some(Prediction::Certain(_)))
        };
        for (key, _) in differing.iter().filter(|one| unseen(one)) {
            note(&format!("a sync would also mark {key} as part of {}, and change nothing else in it", app.name()));
        }
        let diff = AppDiff {
            app: name,
            base: "live".to_owned(),
            revision: revisions("", &sourced.commits),
            objects: differing.into_iter().filter_map(|(_, diff)| diff).collect(),
            prunes: app.automated().is_some_and(|automated| automated.prune),
        };
        Ok(Compared { diff, live: BTreeMap::new(), source_types: sourced.types })
    }

    async fn load(&self, app: &Application, instance: &str, revision: Option<&str>) -> Result<Sourced, Failure> {
        let cluster = self.discovery.capabilities().await.map_err(|error| Failure {
            hint: error.hint(),
            ..Failure::new("cannot look up the kinds of the cluster").with_cause(&error)
        })?;
        self.workshop.load(app, instance, revision, &cluster).await
    }

    /// The manifests of an Application at a revision, without what a sync adds to them.
    pub async fn manifests(&self, app: &App, revision: Option<&str>) -> Result<Vec<Object>, Failure> {
        check(app, revision)?;
        let instance = instance_name(app.app.namespace(), app.name(), &self.cx.flags.controller_namespace);
        self.load(&app.app, &instance, revision).await.map(|sourced| sourced.objects)
    }

    async fn targets(&self, app: &Application, instance: &str, objects: Vec<Object>) -> Result<Targets, Failure> {
        let mut kinds: BTreeSet<GroupKind> = objects.iter().map(Object::group_kind).collect();
        kinds.extend(former_keys(app).map(|key| key.group_kind()));
        kinds.insert(GroupKind::new("", "Namespace"));
        self.discovery
            .ensure(&kinds)
            .await
            .map_err(|error| self.cx.explain_cluster(&error, "look up the kinds of the cluster"))?;
        let declared = targets::scopes_of_crds(&objects);
        let scope = |kind: &GroupKind| self.discovery.known(kind).map(|info| info.namespaced);
        let place = Place {
            instance,
            namespace: &app.spec.destination.namespace,
            server: project::IN_CLUSTER_SERVER,
            settings: &self.settings,
        };
        let mut targets = targets::prepare(objects, place, scope);
        targets.notices.iter().for_each(|(_, text)| note(text));
        for kind in targets.kinds().iter().filter(|kind| scope(kind).is_none() && !declared.contains_key(kind)) {
            note(&format!("kind {kind} is not installed in the cluster"));
        }
        if let Some(namespace) = self.namespace(app, &targets).await? {
            targets.objects.insert(namespace.key(), namespace);
        }
        Ok(targets)
    }

    /// The namespace that a sync would create or bring its metadata to.
    async fn namespace(&self, app: &Application, targets: &Targets) -> Result<Option<Object>, Failure> {
        let is_target = |key: &ResourceKey| targets.objects.contains_key(key);
        let Some(namespace) = targets::managed_namespace(app, sync_options(app), is_target) else { return Ok(None) };
        if targets::has_namespace_metadata(app) {
            return Ok(Some(namespace));
        }
        match self.get(&namespace.key(), "").await {
            Ok(None) => Ok(Some(namespace)),
            // Who may not look at namespaces has been given one.
            Ok(Some(_)) | Err(ClusterError::Forbidden { .. }) => Ok(None),
            Err(error) => Err(unanswered(self.cx, &namespace.key(), &error)),
        }
    }

    /// The live objects of the targets, and those that the Application managed before.
    async fn live(&self, app: &Application, instance: &str, targets: &Targets) -> Result<Live, Failure> {
        let wanted = targets.objects.iter().map(|(key, target)| (key.clone(), target.version().to_owned()));
        let former = former_keys(app).filter(|key| !targets.objects.contains_key(key)).map(|key| (key, String::new()));
        let all: Vec<(ResourceKey, String)> = wanted.chain(former).collect();
        let reads = streams::iter(all).map(|(key, version)| async move {
            let found = self.get(&key, &version).await.map_err(|error| unanswered(self.cx, &key, &error))?;
            Ok::<_, Failure>(found.map(|object| (key, Arc::new(LiveObject::assessed(object, &self.lens)))))
        });
        let found: Vec<_> = reads.buffered(REQUESTS).try_collect().await?;
        let is_ours =
            |key: &ResourceKey, live: &LiveObject| targets.objects.contains_key(key) || live.instance() == Some(instance);
        Ok(found.into_iter().flatten().filter(|(key, live)| is_ours(key, live)).collect())
    }

    async fn get(&self, key: &ResourceKey, version: &str) -> Result<Option<Object>, ClusterError> {
        match self.discovery.known(&key.group_kind()) {
            Some(kind) => self.writer.get_in_version(&kind, key, version).await,
            None => Ok(None),
        }
    }

    async fn predictions(
        &self,
        app: &Application,
        targets: &Targets,
        live: &Live,
    ) -> Result<(BTreeMap<ResourceKey, Prediction>, BTreeMap<ResourceKey, Rules>), Failure> {
        let pairs = targets
            .objects
            .iter()
            .filter(|(_, target)| hooks::role(target) == Role::Ordinary)
            .filter_map(|(key, target)| Some((key, target, live.get(key)?, self.discovery.known(&key.group_kind())?)));
        let pairs: Vec<_> = pairs.collect();
        let asked = streams::iter(pairs).map(|(key, target, live, kind)| async move {
            let rules = self.rules(key, app)?;
            let (prediction, rules) =
                predict(&self.writer, &kind, target, live, rules).await.map_err(|error| unanswered(self.cx, key, &error))?;
            Ok::<_, Failure>(((key.clone(), prediction), (key.clone(), rules)))
        });
        let answered: Vec<_> = asked.buffered(REQUESTS).try_collect().await?;
        Ok(answered.into_iter().unzip())
    }

    /// Which differences of one object count, by the Application and by the operators' settings.
    fn rules(&self, key: &ResourceKey, app: &Application) -> Result<Rules, Failure> {
        if let Some(problem) = self.settings.customisations.problem_of(&key.group_kind()) {
            return Err(problem.clone().into());
        }
        let rules = Rules::of(key, &app.spec.ignore_differences, &self.settings.customisations);
        rules.check()?;
        Ok(rules)
    }
}

/// What operators say about kinds in `argocd-cm`; what is wrong there is told.
fn resource_settings(data: &BTreeMap<String, String>) -> ResourceSettings {
    let settings = ResourceSettings::from_config_map(data);
    settings.problems.iter().for_each(|problem| note(&problem.to_string()));
    settings
}

/// Checks what can be checked without fetching anything.
fn check(app: &App, revision: Option<&str>) -> Result<(), Failure> {
    let name = app.name();
    if let Some(reason) = &app.unreadable {
        return Err(Failure::new(format!("cannot compare {name}: {reason}")));
    }
    let app = &app.app;
    if revision.is_some() && app.is_multi_source() {
        return Err(Failure::new(format!("{name} has several sources; one --revision cannot name a revision of each"))
            .with_hint("set spec.sources[].targetRevision"));
    }
    let sources: Vec<_> = app.sources().into_iter().cloned().collect();
    let destination = project::resolve_destination(&app.spec.destination).err();
    match project::source_problems(app, &sources).into_iter().chain(destination).next() {
        Some(problem) => Err(Failure::new(format!("cannot compare {name}: {problem}"))),
        None => Ok(()),
    }
}

fn note(text: &str) {
    stream::say(&problem::note(text, None));
}

fn sync_options(app: &Application) -> &[String] {
    app.spec.sync_policy.as_ref().map(|policy| policy.sync_options.as_slice()).unwrap_or_default()
}

/// What the Application managed when the controller last looked.
fn former_keys(app: &Application) -> impl Iterator<Item = ResourceKey> {
    let resources = app.status.iter().flat_map(|status| &status.resources);
    resources.map(|one| ResourceKey::new(&one.group, &one.kind, &one.namespace, &one.name))
}

/// Asks the plan of a sync with prune what it would do, in its order; `None` for an object in which a reader would see no
/// difference. Pure.
fn object_diffs(
    app: &Application,
    targets: Targets,
    live: &Live,
    predictions: &BTreeMap<ResourceKey, Prediction>,
    rules: &BTreeMap<ResourceKey, Rules>,
) -> Vec<(ResourceKey, Option<ObjectDiff>)> {
    let mut pairs: BTreeMap<ResourceKey, Option<Object>> =
        targets.objects.into_iter().map(|(key, target)| (key, Some(target))).collect();
    live.keys().for_each(|key| {
        pairs.entry(key.clone()).or_default();
    });
    let item = |(key, target): (ResourceKey, Option<Object>)| {
        let mut item = Item::new(key.clone(), target, live.get(&key).cloned());
        if matches!(predictions.get(&key), Some(Prediction::Same)) {
            item.code = SyncCode::Synced;
        }
        (key, item)
    };
    let comparison = Comparison { items: pairs.into_iter().map(item).collect() };
    let sync = SyncOperation { prune: true, sync_options: sync_options(app).to_vec(), ..SyncOperation::default() };
    let operation = Operation { sync: Some(sync), ..Operation::default() };
    let state = OperationState { operation, ..OperationState::default() };
    // What a sync would do in the end; hooks are run, not kept in sync.
    let policy = Policy { out_of_sync_only: true, skip_hooks: true, ..Policy::of(app, &state) };
    let differing = |task: Task| {
        let rules = rules.get(&task.key).cloned().unwrap_or_default();
        let mut before = live.get(&task.key).map(|live| normalise_live(&live.object(), &rules));
        let mut after = match &task.action {
            Action::Apply { object, .. } => Some(match predictions.get(&task.key).and_then(Prediction::object) {
                Some(predicted) => normalise_live(predicted, &rules),
                None => normalise_target(object),
            }),
            Action::Prune { .. } => None,
            Action::Keep { .. } => return None,
        };
        if let (Some(before), Some(after)) = (&mut before, &mut after) {
            rules.align(after, before);
        }
        let diff = object_diff(&task.key, before.as_ref(), after.as_ref());
        Some((task.key, diff))
    };
    tasks::tasks(&comparison, &policy).into_iter().filter_map(differing).collect()
}
