//! The deletion of an Application, stage by stage. Pure.
//!
//! ```text
//!  PreDelete hooks ──> its objects, wave by wave ──> PostDelete hooks ──> clean up after PreDelete ──> after PostDelete
//! ```
//!
//! Each stage has a finalizer, so that what is left to do is written on the Application itself.
//!
//! Source: Argo CD 3.5 (reference section 6.13).

use crate::health::HealthCode;
use crate::resource::annotations::{
    POST_DELETE_CLEANUP, POST_DELETE_FINALIZER, PRE_DELETE_CLEANUP, PRE_DELETE_FINALIZER, RESOURCES_FINALIZER,
    RESOURCES_FINALIZER_BACKGROUND, RESOURCES_FINALIZER_FOREGROUND,
};
use crate::resource::{Object, ResourceKey};
use crate::sync::Targets;
use crate::sync::hooks::{self, Role};

/// One stage of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Run the hooks of one type.
    Hooks(Moment),
    /// Delete the objects of the Application.
    Resources,
    /// Let go of the hooks of one type, and delete those that want it.
    Cleanup(Moment),
}

/// When deletion hooks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before anything is deleted.
    PreDelete,
    /// After everything is gone.
    PostDelete,
}

impl Moment {
    /// Both, in order.
    pub const ALL: [Self; 2] = [Self::PreDelete, Self::PostDelete];

    /// Name as in annotations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreDelete => "PreDelete",
            Self::PostDelete => "PostDelete",
        }
    }

    /// Finalizers of the hooks and of what comes after them.
    const fn finalizers(self) -> [&'static str; 2] {
        match self {
            Self::PreDelete => [PRE_DELETE_FINALIZER, PRE_DELETE_CLEANUP],
            Self::PostDelete => [POST_DELETE_FINALIZER, POST_DELETE_CLEANUP],
        }
    }
}

/// Finalizers that ask for the deletion of the objects.
const CASCADING: &[&str] = &[RESOURCES_FINALIZER, RESOURCES_FINALIZER_FOREGROUND, RESOURCES_FINALIZER_BACKGROUND];

impl Stage {
    /// All stages, in order.
    const ALL: [Self; 5] = [
        Self::Hooks(Moment::PreDelete),
        Self::Resources,
        Self::Hooks(Moment::PostDelete),
        Self::Cleanup(Moment::PreDelete),
        Self::Cleanup(Moment::PostDelete),
    ];

    fn owns(self, finalizer: &str) -> bool {
        match self {
            Self::Hooks(moment) => finalizer == moment.finalizers()[0],
            Self::Resources => CASCADING.contains(&finalizer),
            Self::Cleanup(moment) => finalizer == moment.finalizers()[1],
        }
    }

    /// The finalizers that remain when the stage is over.
    #[must_use]
    pub fn without(self, finalizers: &[String]) -> Vec<String> {
        finalizers.iter().filter(|finalizer| !self.owns(finalizer)).cloned().collect()
    }
}

/// The next stage that an Application's finalizers ask for; `None` when none of them is ours.
#[must_use]
pub fn next_stage(finalizers: &[String]) -> Option<Stage> {
    Stage::ALL.into_iter().find(|stage| finalizers.iter().any(|finalizer| stage.owns(finalizer)))
}

/// The finalizers without any of ours: nothing can be done any more, for example because the cluster is not known.
#[must_use]
pub fn without_ours(finalizers: &[String]) -> Vec<String> {
    Stage::ALL.into_iter().fold(finalizers.to_vec(), |left, stage| stage.without(&left))
}

/// The finalizers that an Application with these targets has to carry before it counts as synced: a hook must not be missed
/// because the Application is deleted early.
#[must_use]
pub fn wanted_finalizers(finalizers: &[String], targets: &Targets) -> Vec<String> {
    let mut wanted = finalizers.to_vec();
    for moment in Moment::ALL {
        let needed = hooks_of(targets, moment).next().is_some();
        for finalizer in moment.finalizers() {
            let there = wanted.iter().any(|one| one == finalizer);
            if needed && !there {
                wanted.push(finalizer.to_owned());
            } else if !needed {
                wanted.retain(|one| one != finalizer);
            }
        }
    }
    wanted
}

/// The hooks of one type among the targets.
pub fn hooks_of(targets: &Targets, moment: Moment) -> impl Iterator<Item = (&ResourceKey, &Object)> {
    let is_of = move |object: &Object| matches!(hooks::role(object), Role::Hook(types) if types.contains(&moment.as_str()));
    targets.objects.iter().filter(move |(_, object)| is_of(object))
}

/// How one deletion hook stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookStanding {
    /// It was not created for this deletion yet; something of its name may be there from before.
    Missing {
        /// True when such a thing is there.
        in_the_way: bool,
    },
    /// It was created.
    Created {
        /// Its health, if its kind has one.
        health: Option<HealthCode>,
        /// What its health says.
        message: String,
    },
}

/// What to do about the hooks of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookStep {
    /// Delete what is in the way of these, then create them.
    Create(Vec<ResourceKey>),
    /// Something runs.
    Wait(ResourceKey),
    /// A hook failed; it is deleted, and the next try creates it again.
    Failed(ResourceKey, String),
    /// All have succeeded.
    Done,
}

/// Decides the next step for the hooks of one type. A hook without a health rule is done once it is created; as in Argo CD, only
/// `Progressing` holds the deletion back.
#[must_use]
pub fn hook_step(standings: &[(ResourceKey, HookStanding)]) -> HookStep {
    let missing = standings.iter().filter(|(_, standing)| matches!(standing, HookStanding::Missing { .. }));
    let missing: Vec<ResourceKey> = missing.map(|(key, _)| key.clone()).collect();
    if !missing.is_empty() {
        return HookStep::Create(missing);
    }
    let mut running = None;
    for (key, standing) in standings {
        match standing {
            HookStanding::Created { health: Some(HealthCode::Degraded), message } => {
                return HookStep::Failed(key.clone(), message.clone());
            }
            HookStanding::Created { health: Some(HealthCode::Progressing), .. } => running = running.or(Some(key)),
            HookStanding::Created { .. } | HookStanding::Missing { .. } => {}
        }
    }
    running.map_or(HookStep::Done, |key| HookStep::Wait(key.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::annotations::{HELM_HOOK, HOOK};

    fn owned(finalizers: &[&str]) -> Vec<String> {
        finalizers.iter().map(|one| (*one).to_owned()).collect()
    }

    fn targets(annotations: &[(&str, &str)]) -> Targets {
        let mut targets = Targets::default();
        for (index, (key, value)) in annotations.iter().enumerate() {
            let metadata = json!({ "name": format!("h{index}"), "namespace": "prod", "annotations": { *key: value } });
            let object = Object::from_value(json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata }));
            let object = object.unwrap_or_default();
            targets.objects.insert(object.key(), object);
        }
        targets
    }

    #[test]
    fn stages_follow_each_other_as_their_finalizers_go() {
        let mut left = owned(&["other", POST_DELETE_CLEANUP, PRE_DELETE_CLEANUP, RESOURCES_FINALIZER, PRE_DELETE_FINALIZER]);
        left.push(POST_DELETE_FINALIZER.to_owned());
        let mut seen = Vec::new();
        while let Some(stage) = next_stage(&left) {
            seen.push(stage);
            left = stage.without(&left);
        }
        assert_eq!(seen, Stage::ALL);
        assert_eq!(left, ["other"]);
        assert_eq!(without_ours(&owned(&["a", RESOURCES_FINALIZER_BACKGROUND, PRE_DELETE_FINALIZER])), ["a"]);
    }

    /// T73.
    #[test]
    fn finalizers_come_and_go_with_the_hooks() {
        let wanted = wanted_finalizers(&owned(&["a"]), &targets(&[(HOOK, "PreDelete,PreSync"), (HELM_HOOK, "post-delete")]));
        assert_eq!(wanted, ["a", PRE_DELETE_FINALIZER, PRE_DELETE_CLEANUP, POST_DELETE_FINALIZER, POST_DELETE_CLEANUP]);
        assert_eq!(wanted_finalizers(&wanted, &targets(&[(HOOK, "PreSync")])), ["a"]);
        assert_eq!(wanted_finalizers(&wanted, &targets(&[(HOOK, "PreDelete"), (HELM_HOOK, "pre-delete,post-delete")])), wanted);
    }

    #[test]
    fn hooks_are_created_then_waited_for_and_a_failed_one_is_told() {
        let key = |name: &str| ResourceKey::new("batch", "Job", "prod", name);
        let created = |health| HookStanding::Created { health, message: "why".into() };
        let step = |list: Vec<HookStanding>| {
            let named: Vec<_> = list.into_iter().zip(["a", "b"]).map(|(one, name)| (key(name), one)).collect();
            hook_step(&named)
        };
        let healthy = || created(Some(HealthCode::Healthy));
        assert_eq!(step(vec![healthy(), HookStanding::Missing { in_the_way: true }]), HookStep::Create(vec![key("b")]));
        assert_eq!(step(vec![healthy(), created(Some(HealthCode::Progressing))]), HookStep::Wait(key("b")));
        let failed = step(vec![created(Some(HealthCode::Progressing)), created(Some(HealthCode::Degraded))]);
        assert_eq!(failed, HookStep::Failed(key("b"), "why".into()));
        for done in [None, Some(HealthCode::Suspended), Some(HealthCode::Unknown), Some(HealthCode::Missing)] {
            assert_eq!(step(vec![healthy(), created(done)]), HookStep::Done, "{done:?}");
        }
        assert_eq!(step(vec![]), HookStep::Done);
    }
}
