//! ApplicationSets: which Applications they ask for, and what has to be created, changed and deleted for it. Pure.
//!
//! ```text
//! generators ──sets of parameters──> templates ──Applications──> validate ──> plan (create, change, delete, hold)
//!     ^ Request                                                                 ^ live Applications, policy
//!     └── Answer (whoever runs them reads Git, the cluster, HTTP)
//! ```
//!
//! Any error of any generator or rendering means that nothing is known: then nothing is created, changed or deleted.
//!
//! Source: Argo CD 3.5 (reference section 1); `docs/compat/fleet.md` lists what differs.

pub mod budget;
mod generators;
mod gopath;
mod inputs;
pub mod params;
pub mod plan;
mod render;
pub mod rollout;
pub mod scm;
mod selector;
pub mod status;
mod strategic;
mod template;
mod validate;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value as Json;

pub use generators::{GENERATORS, Generator, Poll};
pub use inputs::{Answer, Cluster, Decisions, Inputs, Request, Tree};
pub use selector::Selector;
pub use template::normalised;
pub use validate::{Invalid, destination_problem, validate};

use crate::advice::{Advice, Remedy};
use crate::api::ApplicationSet;
use crate::template::World;
use generators::{Scope, Stop};
use render::Renderer;

/// Why an ApplicationSet gives no Applications. Nothing may be changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// A generator failed.
    #[error("spec.generators[{index}].{problem}")]
    Generator {
        /// Which one.
        index: usize,
        /// What happened, after the name of the generator.
        problem: String,
    },
    /// A template or patch could not be rendered.
    #[error("spec.generators[{index}], {element}: {problem}")]
    Render {
        /// Which generator.
        index: usize,
        /// Which of its sets of parameters, with its content.
        element: String,
        /// Field and cause.
        problem: String,
    },
    /// An option of the ApplicationSet itself is wrong.
    #[error("{0}")]
    Options(String),
}

impl GenerateError {
    /// Reason of the condition, as upstream.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Generator { .. } => "ApplicationGenerationFromParamsError",
            Self::Render { .. } | Self::Options(_) => "RenderTemplateParamsError",
        }
    }
}

impl Advice for GenerateError {
    fn remedy(&self) -> Remedy {
        match self {
            Self::Generator { .. } => Remedy::WaitAndRetry { after: Duration::from_secs(180) },
            Self::Render { .. } | Self::Options(_) => Remedy::FixInput,
        }
    }

    fn hint(&self) -> Option<String> {
        Some("nothing was created, changed or deleted; `kubectl gitops appset generate -f FILE` shows the result without a cluster".into())
    }
}

/// How far generating came.
#[derive(Debug, Clone, PartialEq)]
pub enum Generation {
    /// These questions have to be answered first; then generate again.
    Needs(BTreeSet<Request>),
    /// The Applications, as JSON in the order of the generators; names may appear twice.
    Applications(Vec<Json>),
}

/// Longest text of a set of parameters in a message.
const SHOWN: usize = 300;

/// Generates the Applications of an ApplicationSet.
///
/// # Errors
/// The first generator or rendering that fails.
pub fn generate(set: &ApplicationSet, inputs: &Inputs, world: &mut dyn World) -> Result<Generation, GenerateError> {
    let renderer = Renderer::new(set.spec.go_template, &set.spec.go_template_options, world).map_err(GenerateError::Options)?;
    let missing = RefCell::new(BTreeSet::new());
    let project = literal_project(set);
    let scope = Scope { inputs, renderer: &renderer, project, depth: 0, missing: &missing };
    let mut evaluated = Vec::new();
    let mut failure = None;
    // All are evaluated, so that all questions are known; the first error counts.
    for (index, entry) in set.spec.generators.iter().enumerate() {
        match generators::evaluate(entry, &scope) {
            Ok(sets) => evaluated.push((index, entry, sets)),
            Err(Stop::Missing) => {}
            Err(Stop::Failed(problem)) => failure = failure.or(Some(GenerateError::Generator { index, problem })),
        }
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    let missing = missing.take();
    if !missing.is_empty() {
        return Ok(Generation::Needs(missing));
    }
    let mut applications = Vec::new();
    for (index, entry, sets) in evaluated {
        let template = template::merged(own_template(entry), &set.spec.template);
        for params in &sets {
            let app = template::application(set, &template, params, &renderer).map_err(|problem| GenerateError::Render {
                index,
                element: shown(params),
                problem,
            })?;
            applications.push(app);
        }
    }
    Ok(Generation::Applications(applications))
}

/// The shortest interval at which a generator has to look again; none when all of them are told.
#[must_use]
pub fn requeue_after(set: &ApplicationSet, default: Duration) -> Option<Duration> {
    set.spec.generators.iter().filter_map(|entry| generators::interval(entry, default)).min()
}

/// True when a generator of this key is anywhere in the ApplicationSet.
#[must_use]
pub fn uses_generator(set: &ApplicationSet, key: &str) -> bool {
    set.spec.generators.iter().any(|entry| generators::uses(entry, key))
}

/// The template beside the generator's own fields.
fn own_template(entry: &Json) -> Option<&Json> {
    let (_, section) = generators::known(entry).ok()?.into_iter().next()?;
    section.get("template").filter(|template| template.is_object())
}

/// The project of the template; empty when it is a template itself, and then no repository of a project may be used.
fn literal_project(set: &ApplicationSet) -> &str {
    let project = set.spec.template.pointer("/spec/project").and_then(Json::as_str).unwrap_or_default();
    if project.contains("{{") { "" } else { project }
}

fn shown(params: &params::Params) -> String {
    let mut text = format!("element {}", params::to_json(params));
    if text.len() > SHOWN {
        let end = (0..SHOWN).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        text.push_str(" ...");
    }
    text
}
