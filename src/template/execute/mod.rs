//! Runs the tree of a template as Go does, within a budget.
//!
//! Own code on typed values, because what Sprig's functions accept depends on Go's types, because errors need Go's places, and
//! because secret values must be wiped and kept out of messages.

mod evaluate;
mod place;
mod typing;

use std::collections::BTreeMap;

use super::budget::{Context, MAX_DEPTH, TURN};
use super::error::{Fault, TemplateError};
use super::format;
use super::syntax::{Branch, Node, Pipe, Trees};
use super::text::{Buffer, Text};
use super::value::Value;
use super::{MissingKey, Options, World};
use place::Place;

/// Runs the template of a name.
pub(super) fn execute(
    trees: &Trees,
    name: &str,
    source: &str,
    data: &Value,
    options: Options,
    world: &mut dyn World,
) -> Result<Text, TemplateError> {
    let Some(nodes) = trees.by_name.get(name) else { return Err(TemplateError::Empty { name: name.to_owned() }) };
    let mut state = State {
        trees: &trees.by_name,
        options,
        context: Context::new(world),
        out: Buffer::default(),
        variables: vec![("$", data.clone())],
        template: name,
        place: Place::Start,
        depth: 0,
    };
    match state.walk(data, nodes) {
        Ok(()) => Ok(state.out.finish()),
        Err(Stop::Fault(fault)) => {
            let (line, column) = place::line_and_column(source, state.place.pos());
            Err(TemplateError::Execution {
                name: name.to_owned(),
                line,
                column,
                template: state.template.to_owned(),
                context: state.place.to_string(),
                problem: fault.text(options.confidential).to_owned(),
            })
        }
        // The parser lets neither stand outside of a loop.
        Err(Stop::Break | Stop::Continue) => Ok(state.out.finish()),
    }
}

/// Why nodes are not run to their end.
enum Stop {
    Fault(Fault),
    Break,
    Continue,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

struct State<'t, 'w> {
    trees: &'t BTreeMap<String, Vec<Node>>,
    options: Options,
    context: Context<'w>,
    out: Buffer,
    variables: Vec<(&'t str, Value)>,
    /// The template that runs, for errors.
    template: &'t str,
    /// The part that was looked at last, for errors.
    place: Place<'t>,
    depth: usize,
}

impl<'t> State<'t, '_> {
    fn walk(&mut self, dot: &Value, nodes: &'t [Node]) -> Result<(), Stop> {
        self.enter()?;
        for node in nodes {
            self.walk_node(dot, node)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn enter(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::new(format!("exceeded maximum template depth ({MAX_DEPTH})")));
        }
        Ok(())
    }

    fn walk_node(&mut self, dot: &Value, node: &'t Node) -> Result<(), Stop> {
        match node {
            Node::Text(text) => Ok(self.out.push(text.as_bytes())?),
            Node::Action(pipe) => {
                let value = self.pipeline(dot, pipe)?;
                self.place = Place::Pipe(pipe);
                if pipe.variables.is_empty() {
                    self.print(&value)?;
                }
                Ok(())
            }
            Node::If(branch) | Node::With(branch) => self.walk_condition(dot, branch, matches!(node, Node::With(_))),
            Node::Range(branch) => self.walk_range(dot, branch),
            Node::Template { pos, name, pipe } => self.walk_template(dot, *pos, name, pipe.as_ref()),
            Node::Break => Err(Stop::Break),
            Node::Continue => Err(Stop::Continue),
        }
    }

    fn print(&mut self, value: &Value) -> Result<(), Fault> {
        match value {
            Value::Missing | Value::Nil => self.out.push_str("<no value>"),
            value => format::print(&mut self.out, value),
        }
    }

    fn walk_condition(&mut self, dot: &Value, branch: &'t Branch, with: bool) -> Result<(), Stop> {
        let mark = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        if value.is_true() {
            self.walk(if with { &value } else { dot }, &branch.body)?;
        } else {
            self.walk(dot, &branch.otherwise)?;
        }
        self.variables.truncate(mark);
        Ok(())
    }

    fn walk_range(&mut self, dot: &Value, branch: &'t Branch) -> Result<(), Stop> {
        let mark = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let turned = match &value {
            Value::Int(_) | Value::Int64(_) | Value::Uint8(_) | Value::Uint64(_) => self.count(branch, &value)?,
            Value::List(list) => {
                let items = list.items().iter().enumerate();
                self.turns(branch, items.map(|(index, item)| (Value::Int(index as i64), item.clone())))?
            }
            Value::Map(map) => self.turns(branch, map.entries().into_iter().map(|(key, value)| (Value::Text(key), value)))?,
            Value::Missing | Value::Nil => false,
            other => {
                let shown = format::printed(other)?.to_str().into_owned();
                let full = format!("range can't iterate over {shown}");
                return Err(Fault::with_value(full, format!("range can't iterate over a {}", other.type_name())).into());
            }
        };
        if !turned {
            self.walk(dot, &branch.otherwise)?;
        }
        self.variables.truncate(mark);
        Ok(())
    }

    fn count(&mut self, branch: &'t Branch, value: &Value) -> Result<bool, Stop> {
        if branch.pipe.variables.len() > 1 {
            let shown = format::printed(value)?.to_str().into_owned();
            let full = format!("can't use {shown} to iterate over more than one variable");
            return Err(Fault::with_value(full, "can't use a number to iterate over more than one variable").into());
        }
        match value {
            Value::Int64(end) => self.turns(branch, (0..*end).map(|number| (Value::Missing, Value::Int64(number)))),
            Value::Uint8(end) => self.turns(branch, (0..*end).map(|number| (Value::Missing, Value::Uint8(number)))),
            Value::Uint64(end) => self.turns(branch, (0..*end).map(|number| (Value::Missing, Value::Uint64(number)))),
            Value::Int(end) => self.turns(branch, (0..*end).map(|number| (Value::Missing, Value::Int(number)))),
            _ => Ok(false),
        }
    }

    /// Runs the body once per pair of index and element; false when there is none.
    fn turns(&mut self, branch: &'t Branch, pairs: impl Iterator<Item = (Value, Value)>) -> Result<bool, Stop> {
        let names = &branch.pipe.variables;
        let mark = self.variables.len();
        let depth = self.depth;
        let mut turned = false;
        for (index, element) in pairs {
            turned = true;
            self.context.spend(TURN)?;
            match names.as_slice() {
                [] => {}
                [only] => self.bind(branch.pipe.assigns, mark, 1, only, element.clone()),
                [first, second, ..] => {
                    self.bind(branch.pipe.assigns, mark, 2, first, index);
                    self.bind(branch.pipe.assigns, mark, 1, second, element.clone());
                }
            }
            let stop = self.walk(&element, &branch.body);
            self.variables.truncate(mark);
            match stop {
                Ok(()) => {}
                Err(Stop::Break) => {
                    self.depth = depth;
                    break;
                }
                Err(Stop::Continue) => self.depth = depth,
                Err(fault) => return Err(fault),
            }
        }
        Ok(turned)
    }

    /// Sets a loop variable: an outer one of that name, or the one that the pipeline declared, `back` from the top.
    fn bind(&mut self, assigns: bool, mark: usize, back: usize, name: &str, value: Value) {
        if assigns {
            self.assign(name, value);
        } else if let Some(slot) = mark.checked_sub(back).and_then(|at| self.variables.get_mut(at)) {
            slot.1 = value;
        }
    }

    /// False when there is no such variable.
    fn assign(&mut self, name: &str, value: Value) -> bool {
        let slot = self.variables.iter_mut().rev().find(|(known, _)| *known == name);
        slot.map(|slot| slot.1 = value).is_some()
    }

    fn walk_template(&mut self, dot: &Value, pos: usize, name: &'t str, pipe: Option<&'t Pipe>) -> Result<(), Stop> {
        let here = Place::Template { pos, name, pipe };
        self.place = here;
        let Some(nodes) = self.trees.get(name) else {
            return Err(Fault::new(format!("template {} not defined", format::quoted(name.as_bytes()))).into());
        };
        let dot = match pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Value::Missing,
        };
        let outer_variables = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        let outer_template = std::mem::replace(&mut self.template, name);
        self.walk(&dot, nodes)?;
        self.variables = outer_variables;
        self.template = outer_template;
        Ok(())
    }

    fn missing_key(&self) -> MissingKey {
        self.options.missing_key
    }
}
