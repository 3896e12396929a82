//! The registry of generators, and what they share. A generator is a pure function from its section to sets of parameters.
//!
//! Source: Argo CD 3.5 (reference sections 1.3 and 1.4).

mod clusters;
mod decisions;
mod git;
mod list;
mod matrix;
mod merge;
mod plugin;
mod pull_request;
mod scm_provider;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::inputs::{Answer, Inputs, Request};
use super::params::{Param, Params, flatten};
use super::render::Renderer;
use super::selector::Selector;

/// One kind of generator.
pub struct Generator {
    /// Its key in the ApplicationSet.
    pub key: &'static str,
    /// Makes the sets of parameters out of its section.
    pub generate: fn(&Json, &Scope<'_>) -> Generated,
    /// How often its outside may change without telling.
    pub poll: Poll,
}

/// How often a generator looks again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poll {
    /// Whatever changes tells by itself.
    Never,
    /// At the interval of the controller, three minutes.
    Default,
    /// Every half hour.
    Slow,
    /// As its children do.
    Children,
}

/// Half an hour: what providers of repositories bear.
const SLOW: Duration = Duration::from_secs(30 * 60);

/// Every generator.
pub const GENERATORS: &[Generator] = &[
    Generator { key: "list", generate: list::generate, poll: Poll::Never },
    Generator { key: "clusters", generate: clusters::generate, poll: Poll::Never },
    Generator { key: "git", generate: git::generate, poll: Poll::Default },
    Generator { key: "scmProvider", generate: scm_provider::generate, poll: Poll::Slow },
    Generator { key: "pullRequest", generate: pull_request::generate, poll: Poll::Slow },
    Generator { key: "clusterDecisionResource", generate: decisions::generate, poll: Poll::Default },
    Generator { key: "plugin", generate: plugin::generate, poll: Poll::Slow },
    Generator { key: "matrix", generate: matrix::generate, poll: Poll::Children },
    Generator { key: "merge", generate: merge::generate, poll: Poll::Children },
];

/// Deepest nesting of matrix and merge: one inside another.
const MAX_DEPTH: usize = 2;

/// Why there are no sets of parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// It cannot be done; the text says why.
    Failed(String),
    /// A question is not answered yet.
    Missing,
}

impl From<String> for Stop {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

/// Sets of parameters, or why there are none.
pub type Generated = Result<Vec<Params>, Stop>;

/// What a generator works with.
pub struct Scope<'a> {
    /// What was read.
    pub inputs: &'a Inputs,
    /// The template mode of the ApplicationSet.
    pub renderer: &'a Renderer<'a>,
    /// Project of the template; empty when it is a template itself.
    pub project: &'a str,
    /// How many matrix and merge generators are around.
    pub depth: usize,
    /// Questions that are not answered yet.
    pub missing: &'a RefCell<BTreeSet<Request>>,
}

impl<'a> Scope<'a> {
    /// The answer to a question, if it is known; else the question is noted.
    ///
    /// # Errors
    /// It is not answered yet, or could not be.
    pub fn ask(&self, request: Request) -> Result<&'a Answer, Stop> {
        match self.inputs.answers.get(&request) {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(problem)) => Err(Stop::Failed(problem.clone())),
            None => {
                self.missing.borrow_mut().insert(request);
                Err(Stop::Missing)
            }
        }
    }

    fn nested(&self) -> Scope<'a> {
        Scope { depth: self.depth + 1, ..*self }
    }
}

/// Evaluates one entry of `generators`: its selector sifts the sets of all its generators.
///
/// # Errors
/// As the generators; an entry without a generator that is known.
pub fn evaluate(entry: &Json, scope: &Scope<'_>) -> Generated {
    let selector = Selector::parse(entry.get("selector"))?;
    let mut sets = Vec::new();
    let mut missing = false;
    for (generator, section) in known(entry)? {
        match (generator.generate)(section, scope) {
            Ok(more) => sets.extend(more),
            Err(Stop::Failed(text)) => return Err(Stop::Failed(format!("{}: {text}", generator.key))),
            Err(Stop::Missing) => missing = true,
        }
    }
    if missing {
        return Err(Stop::Missing);
    }
    if !selector.is_empty() {
        sets.retain(|set| selector.matches(&flatten(set)));
    }
    Ok(sets)
}

/// The generators of an entry.
///
/// # Errors
/// There is none, or one that is not known: it would give nothing, and every Application would be deleted.
pub fn known(entry: &Json) -> Result<Vec<(&'static Generator, &Json)>, String> {
    let entry = entry.as_object().ok_or("a generator is a map with one key, such as `list`")?;
    let mut found = Vec::new();
    for (key, section) in entry.iter().filter(|(key, section)| *key != "selector" && !section.is_null()) {
        match GENERATORS.iter().find(|generator| generator.key == key) {
            Some(generator) => found.push((generator, section)),
            None => return Err(format!("unknown generator `{key}` (known: {})", keys())),
        }
    }
    if found.is_empty() {
        return Err(format!("the entry has no generator (known: {})", keys()));
    }
    Ok(found)
}

fn keys() -> String {
    GENERATORS.iter().map(|generator| generator.key).collect::<Vec<_>>().join(", ")
}

/// When to look again without being told: the shortest of all intervals; none when nothing has to be looked at.
#[must_use]
pub fn interval(entry: &Json, default: Duration) -> Option<Duration> {
    known(entry).unwrap_or_default().into_iter().filter_map(|(generator, section)| interval_of(generator, section, default)).min()
}

fn interval_of(generator: &Generator, section: &Json, default: Duration) -> Option<Duration> {
    if generator.poll == Poll::Children {
        return children(section).iter().filter_map(|child| interval(child, default)).min();
    }
    let own = section.get("requeueAfterSeconds").and_then(Json::as_u64).map(Duration::from_secs);
    let interval = match generator.poll {
        Poll::Default => own.unwrap_or(default),
        Poll::Slow => own.unwrap_or(SLOW),
        Poll::Never | Poll::Children => return None,
    };
    (!interval.is_zero()).then_some(interval)
}

/// True when a generator of this key is anywhere in the entry.
#[must_use]
pub fn uses(entry: &Json, key: &str) -> bool {
    entry.get(key).is_some_and(|section| !section.is_null())
        || ["matrix", "merge"].iter().any(|combined| children(&entry[*combined]).iter().any(|child| uses(child, key)))
}

/// The `generators` of a matrix or merge section.
fn children(section: &Json) -> &[Json] {
    section.get("generators").and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// Evaluates a child of matrix or merge, which must hold exactly one generator.
fn evaluate_child(child: &Json, scope: &Scope<'_>, around: &str) -> Generated {
    let generators = known(child)?;
    let [(generator, _)] = generators.as_slice() else {
        return Err(Stop::Failed(format!("found more than one generator in {around}.Generators")));
    };
    if generator.poll == Poll::Children && scope.depth >= MAX_DEPTH {
        return Err(Stop::Failed("child generator generated no parameters: matrix and merge may be nested only once".to_owned()));
    }
    evaluate(child, scope)
}

/// Adds `values`, each rendered once with the generator's own parameters: they cannot refer to each other.
fn add_values(section: &Json, params: &mut Params, renderer: &Renderer<'_>) -> Result<(), String> {
    let Some(values) = section.get("values").and_then(Json::as_object).filter(|values| !values.is_empty()) else { return Ok(()) };
    let mut rendered = std::collections::BTreeMap::new();
    {
        let prepared = renderer.prepare(params);
        for (key, value) in values {
            let text = value.as_str().ok_or_else(|| format!("values.{key} must be a text"))?;
            rendered.insert(key.clone(), renderer.text(text, &prepared).map_err(|error| format!("values.{key}: {error}"))?);
        }
    }
    put_values(params, rendered, renderer.go);
    Ok(())
}

fn put_values(params: &mut Params, values: std::collections::BTreeMap<String, String>, go: bool) {
    if go {
        params.insert("values".into(), Param::TextMap(values));
    } else {
        params.extend(values.into_iter().map(|(key, text)| (format!("values.{key}"), Param::Text(text))));
    }
}

/// A required text of a section.
fn required<'a>(section: &'a Json, field: &str) -> Result<&'a str, String> {
    match section.get(field).and_then(Json::as_str) {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(format!("{field} is required")),
    }
}

/// A part of a section, or its default when it is absent.
fn part<T: serde::de::DeserializeOwned + Default>(section: &Json, field: &str) -> Result<T, String> {
    match section.get(field).filter(|value| !value.is_null()) {
        None => Ok(T::default()),
        Some(value) => serde_json::from_value(value.clone()).map_err(|error| format!("{field}: {error}")),
    }
}

/// The section without what does not change what is read: one answer serves all of them.
fn question(section: &Json) -> String {
    let mut section = section.as_object().cloned().unwrap_or_else(Map::new);
    for field in ["template", "values", "filters", "requeueAfterSeconds"] {
        section.remove(field);
    }
    Json::Object(section).to_string()
}
