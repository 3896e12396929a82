//! Every function that a template can call, by Sprig's own categories. A function is one line in the list of its file.
//!
//! Source: Go's `text/template` builtins and Sprig v3.3.0's generic map; what each answers is recorded from the originals in
//! `tests/fixtures/go-template`.

mod aes;
mod argo;
mod arguments;
mod builtins;
mod certificates;
mod compare;
mod crypto;
mod date;
mod defaults;
mod dicts;
mod encoding;
mod flow;
mod json;
mod lists;
mod math;
mod merge;
mod methods;
mod numeric;
mod password;
mod paths;
mod random;
mod reflection;
mod regex;
mod regex_syntax;
mod semver;
mod string_lists;
mod strings;
mod urls;
mod words;

use std::collections::BTreeMap;
use std::sync::LazyLock;

pub use argo::{normalize, slug};
pub use arguments::Arguments;
pub(super) use methods::method;

use super::budget::Context;
use super::error::Fault;
use super::value::Value;

/// Go's type of a parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `interface {}`: anything.
    Any,
    /// `reflect.Value`: anything, also no value at all.
    Reflect,
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `uint32`
    Uint32,
    /// `float64`
    Float,
    /// `string`
    Text,
    /// `map[string]interface {}`
    Dict,
    /// `[]interface {}`
    List,
    /// `time.Time`
    Time,
    /// `*semver.Version`
    Version,
    /// The pair that certificate functions give.
    Certificate,
}

impl Type {
    /// Go's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Reflect => "reflect.Value",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint32 => "uint32",
            Self::Float => "float64",
            Self::Text => "string",
            Self::Dict => "map[string]interface {}",
            Self::List => "[]interface {}",
            Self::Time => "time.Time",
            Self::Version => "*semver.Version",
            Self::Certificate => "sprig.certificate",
        }
    }
}

/// What a function does.
pub type Run = fn(&mut Context<'_>, &Arguments<'_>) -> Result<Value, Fault>;

/// A function.
pub struct Function {
    /// Its name in templates.
    pub name: &'static str,
    /// Its parameters.
    pub parameters: &'static [Type],
    /// The type of any number of further arguments.
    pub variadic: Option<Type>,
    /// What a call costs beyond its result, in units of the budget.
    pub cost: u64,
    pub(super) run: Run,
}

const fn fixed(name: &'static str, parameters: &'static [Type], run: Run) -> Function {
    Function { name, parameters, variadic: None, cost: 32, run }
}

const fn variadic(name: &'static str, parameters: &'static [Type], rest: Type, run: Run) -> Function {
    Function { name, parameters, variadic: Some(rest), cost: 32, run }
}

impl Function {
    const fn costing(mut self, units: u64) -> Self {
        self.cost = units;
        self
    }
}

/// Which functions a template has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionSet {
    /// `spec.template.data` of a SealedSecret: Go's and Sprig's.
    SealedSecrets,
    /// An ApplicationSet: these, and Argo CD's own.
    ApplicationSets,
}

/// Go's builtins and Sprig, category by category. Sprig's `slice` replaces Go's.
const COMMON: &[(&str, &[Function])] = &[
    ("Go", builtins::FUNCTIONS),
    ("Go", compare::FUNCTIONS),
    ("Strings", strings::FUNCTIONS),
    ("Strings", words::FUNCTIONS),
    ("String lists", string_lists::FUNCTIONS),
    ("Random", random::FUNCTIONS),
    ("Math", math::FUNCTIONS),
    ("Dates", date::FUNCTIONS),
    ("Defaults", defaults::FUNCTIONS),
    ("JSON", json::FUNCTIONS),
    ("Encoding", encoding::FUNCTIONS),
    ("Lists", lists::FUNCTIONS),
    ("Dicts", dicts::FUNCTIONS),
    ("Dicts", merge::FUNCTIONS),
    ("Type conversion", numeric::FUNCTIONS),
    ("Reflection", reflection::FUNCTIONS),
    ("Paths", paths::FUNCTIONS),
    ("Flow control", flow::FUNCTIONS),
    ("Versions", semver::FUNCTIONS),
    ("Crypto", crypto::FUNCTIONS),
    ("Crypto", password::FUNCTIONS),
    ("Crypto", aes::FUNCTIONS),
    ("Crypto", certificates::FUNCTIONS),
    ("Regular expressions", regex::FUNCTIONS),
    ("URLs", urls::FUNCTIONS),
];

const ARGO: &[(&str, &[Function])] = &[("Argo CD", argo::FUNCTIONS)];

type Index = BTreeMap<&'static str, &'static Function>;

static SEALED_SECRETS: LazyLock<Index> = LazyLock::new(|| index(&[COMMON]));
static APPLICATION_SETS: LazyLock<Index> = LazyLock::new(|| index(&[COMMON, ARGO]));

fn index(catalogues: &[&'static [(&'static str, &'static [Function])]]) -> Index {
    let functions = catalogues.iter().flat_map(|catalogue| catalogue.iter()).flat_map(|(_, functions)| functions.iter());
    functions.map(|function| (function.name, function)).collect()
}

impl FunctionSet {
    /// The function of a name.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'static Function> {
        let index: &Index = match self {
            Self::SealedSecrets => &SEALED_SECRETS,
            Self::ApplicationSets => &APPLICATION_SETS,
        };
        index.get(name).copied()
    }

    /// All functions with their categories, in the order in which they are registered.
    pub fn all(self) -> impl Iterator<Item = (&'static str, &'static Function)> {
        let own: &[(&str, &[Function])] = if self == Self::ApplicationSets { ARGO } else { &[] };
        COMMON.iter().chain(own).flat_map(|(category, functions)| functions.iter().map(move |function| (*category, function)))
    }
}
