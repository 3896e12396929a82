//! The value of a pipeline.

use super::place::Place;
use super::{State, typing};
use crate::template::MissingKey;
use crate::template::error::Fault;
use crate::template::format::quoted;
use crate::template::functions::{Arguments, Function, Type, method};
use crate::template::syntax::{Command, Pipe, Word, WordKind};
use crate::template::value::{Element, Value};

type Evaluated = Result<Value, Fault>;

/// The words behind the first, and the value that comes through the pipe.
#[derive(Clone, Copy)]
struct Given<'t, 'v> {
    words: &'t [Word],
    piped: Option<&'v Value>,
}

impl Given<'_, '_> {
    const NONE: Self = Self { words: &[], piped: None };

    const fn is_empty(&self) -> bool {
        self.words.is_empty() && self.piped.is_none()
    }
}

impl<'t> State<'t, '_> {
    pub(super) fn pipeline(&mut self, dot: &Value, pipe: &'t Pipe) -> Evaluated {
        self.enter()?;
        self.place = Place::Pipe(pipe);
        let mut piped: Option<Value> = None;
        for command in &pipe.commands {
            let value = self.command(dot, command, piped.as_ref())?;
            piped = Some(if matches!(value, Value::Nil) { Value::Missing } else { value });
        }
        let value = piped.unwrap_or(Value::Missing);
        for name in &pipe.variables {
            if pipe.assigns {
                if !self.assign(name, value.clone()) {
                    return Err(Fault::new(format!("undefined variable: {name}")));
                }
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        self.depth -= 1;
        Ok(value)
    }

    fn command(&mut self, dot: &Value, command: &'t Command, piped: Option<&Value>) -> Evaluated {
        let Some((first, words)) = command.words.split_first() else { return Ok(Value::Missing) };
        let given = Given { words, piped };
        match &first.kind {
            WordKind::Field(names) => {
                self.place = Place::Word(first);
                self.fields(dot, dot.clone(), first, names, given)
            }
            WordKind::Chain(inner, names) => self.chain(dot, first, inner, names, given),
            WordKind::Identifier(name) => {
                self.place = Place::Word(first);
                self.function(dot, name, Place::Command(command), given)
            }
            WordKind::Pipe(pipe) => {
                self.no_arguments(first, given)?;
                self.pipeline(dot, pipe)
            }
            WordKind::Variable(name, names) => self.variable(dot, first, name, names, given),
            WordKind::Literal(literal) => {
                self.place = Place::Word(first);
                self.no_arguments(first, given)?;
                typing::ideal(literal)
            }
            WordKind::Dot => {
                self.place = Place::Word(first);
                self.no_arguments(first, given)?;
                Ok(dot.clone())
            }
            WordKind::Nil => {
                self.place = Place::Word(first);
                self.no_arguments(first, given)?;
                Err(Fault::new("nil is not a command"))
            }
        }
    }

    fn no_arguments(&self, word: &Word, given: Given<'_, '_>) -> Result<(), Fault> {
        if given.is_empty() {
            return Ok(());
        }
        let written = if let WordKind::Pipe(pipe) = &word.kind { pipe.to_string() } else { word.to_string() };
        Err(Fault::new(format!("can't give argument to non-function {written}")))
    }

    fn variable(&mut self, dot: &Value, word: &'t Word, name: &str, names: &'t [String], given: Given<'t, '_>) -> Evaluated {
        self.place = Place::Word(word);
        let value = self.variables.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        let value = value.ok_or_else(|| Fault::new(format!("undefined variable: {name}")))?;
        if names.is_empty() {
            self.no_arguments(word, given)?;
            return Ok(value);
        }
        self.fields(dot, value, word, names, given)
    }

    fn chain(&mut self, dot: &Value, word: &'t Word, inner: &'t Word, names: &'t [String], given: Given<'t, '_>) -> Evaluated {
        self.place = Place::Word(word);
        let receiver = self.argument(dot, Type::Reflect, inner)?;
        self.fields(dot, receiver, word, names, given)
    }

    fn fields(
        &mut self,
        dot: &Value,
        mut receiver: Value,
        word: &'t Word,
        names: &'t [String],
        given: Given<'t, '_>,
    ) -> Evaluated {
        let Some((last, path)) = names.split_last() else { return Ok(receiver) };
        // Go names the type of the place that holds a value, which in a dict is `interface {}`.
        let mut in_dict = false;
        for name in path {
            let holder = matches!(&receiver, Value::Map(map) if map.element == Element::Any);
            receiver = self.field(dot, receiver, word, (name, in_dict), Given::NONE)?;
            in_dict = holder;
        }
        self.field(dot, receiver, word, (last, in_dict), given)
    }

    fn field(
        &mut self,
        dot: &Value,
        receiver: Value,
        word: &'t Word,
        (name, in_dict): (&str, bool),
        given: Given<'t, '_>,
    ) -> Evaluated {
        match &receiver {
            Value::Missing if self.missing_key() == MissingKey::Error => {
                return Err(Fault::new(format!("nil data; no entry for key {}", quoted(name.as_bytes()))));
            }
            Value::Missing => return Ok(Value::Missing),
            Value::Nil => return Err(Fault::new(format!("nil pointer evaluating interface {{}}.{name}"))),
            _ => {}
        }
        if let Some(function) = method(&receiver, name) {
            return self.call(dot, function, Place::Word(word), given, Some(receiver.clone()));
        }
        match &receiver {
            Value::Map(map) => {
                if !given.is_empty() {
                    return Err(Fault::new(format!("{name} is not a method but has arguments")));
                }
                match (map.get(name.as_bytes()), self.missing_key(), map.element) {
                    (Some(value), ..) => Ok(value),
                    (None, MissingKey::Default, _) => Ok(Value::Missing),
                    (None, MissingKey::Zero, Element::Text) => Ok(Value::text("")),
                    (None, MissingKey::Zero, _) => Ok(Value::Nil),
                    (None, MissingKey::Error, _) => {
                        Err(Fault::new(format!("map has no entry for key {}", quoted(name.as_bytes()))))
                    }
                }
            }
            Value::Certificate(pair) if matches!(name, "Cert" | "Key") => {
                if !given.is_empty() {
                    return Err(Fault::new(format!("{name} has arguments but cannot be invoked as function")));
                }
                Ok(Value::Text(if name == "Cert" { pair.cert.clone() } else { pair.key.clone() }))
            }
            other => {
                let type_name = if in_dict { Type::Any.name() } else { other.type_name() };
                Err(Fault::new(format!("can't evaluate field {name} in type {type_name}")))
            }
        }
    }

    fn function(&mut self, dot: &Value, name: &str, whole: Place<'t>, given: Given<'t, '_>) -> Evaluated {
        let Some(function) = self.options.functions.get(name) else {
            return Err(Fault::new(format!("{} is not a defined function", quoted(name.as_bytes()))));
        };
        self.call(dot, function, whole, given, None)
    }

    fn call(
        &mut self,
        dot: &Value,
        function: &'static Function,
        whole: Place<'t>,
        given: Given<'t, '_>,
        receiver: Option<Value>,
    ) -> Evaluated {
        check_count(function, given)?;
        if matches!(function.name, "and" | "or") {
            return self.short_circuit(dot, function.name == "or", given);
        }
        let mut values: Vec<Value> = receiver.into_iter().collect();
        let offset = values.len();
        for word in given.words {
            let value = self.argument(dot, parameter(function, values.len() - offset), word)?;
            values.push(value);
        }
        if let Some(piped) = given.piped {
            values.push(typing::check(piped.clone(), parameter(function, values.len() - offset))?);
        }
        if function.name == "call" {
            self.place = whole;
            return Err(no_function(&values, given.words));
        }
        self.context.spend(function.cost)?;
        let called = (function.run)(&mut self.context, &Arguments(&values));
        let value = called.map_err(|fault| {
            self.place = whole;
            fault.after(&format!("error calling {}: ", function.name))
        })?;
        self.context.spend(value.weight())?;
        Ok(value)
    }

    /// `and` and `or` evaluate no more arguments than they need.
    fn short_circuit(&mut self, dot: &Value, until: bool, given: Given<'t, '_>) -> Evaluated {
        let mut value = Value::Missing;
        for word in given.words {
            value = self.argument(dot, Type::Reflect, word)?;
            if value.is_true() == until {
                return Ok(value);
            }
        }
        Ok(given.piped.cloned().unwrap_or(value))
    }

    fn argument(&mut self, dot: &Value, wanted: Type, word: &'t Word) -> Evaluated {
        self.place = Place::Word(word);
        let value = match &word.kind {
            WordKind::Literal(literal) => return typing::constant(literal, wanted, word),
            WordKind::Nil => {
                let refusal = || Fault::new(format!("cannot assign nil to {}", wanted.name()));
                return typing::nil(wanted).ok_or_else(refusal);
            }
            WordKind::Dot => dot.clone(),
            WordKind::Field(names) => self.fields(dot, dot.clone(), word, names, Given::NONE)?,
            WordKind::Variable(name, names) => self.variable(dot, word, name, names, Given::NONE)?,
            WordKind::Pipe(pipe) => self.pipeline(dot, pipe)?,
            WordKind::Identifier(name) => self.function(dot, name, Place::Word(word), Given::NONE)?,
            WordKind::Chain(inner, names) => self.chain(dot, word, inner, names, Given::NONE)?,
        };
        typing::check(value, wanted)
    }
}

/// No value of ours can be called.
fn no_function(values: &[Value], words: &[Word]) -> Fault {
    match (values.first(), words.first()) {
        (Some(value), Some(word)) if !value.is_nil() => {
            let word = Place::Word(word);
            Fault::new(format!("error calling call: non-function {word} of type {}", value.type_name()))
        }
        _ => Fault::new("error calling call: call of nil"),
    }
}

fn parameter(function: &Function, at: usize) -> Type {
    function.parameters.get(at).copied().or(function.variadic).unwrap_or(Type::Any)
}

fn check_count(function: &Function, given: Given<'_, '_>) -> Result<(), Fault> {
    let count = given.words.len() + usize::from(given.piped.is_some());
    let wanted = function.parameters.len();
    if function.variadic.is_some() {
        if count < wanted {
            let got = given.words.len();
            return Err(Fault::new(format!("wrong number of args for {}: want at least {wanted} got {got}", function.name)));
        }
    } else if count != wanted {
        return Err(Fault::new(format!("wrong number of args for {}: want {wanted} got {count}", function.name)));
    }
    Ok(())
}
