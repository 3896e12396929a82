//! `jqPathExpressions`: removes what a jq path expression selects.
//!
//! An expression runs as `del(EXPRESSION)`, as in Argo CD. It must not be able to hold the controller, and the interpreter
//! has no limit of its own, so what could run for long is refused before it runs: definitions, loops, and combinations of
//! generators whose number of results grows out of hand. Nothing of the environment, the clock or the input is in reach.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use jaq_core::compile::Filter;
use jaq_core::data::JustLut;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Native, Vars, unwrap_valr};
use jaq_json::Val;

use crate::resource::Object;

/// Why an expression is not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JqError {
    /// It is no jq.
    #[error("jqPathExpressions: `{0}` cannot be parsed")]
    Invalid(String),
    /// It could run for very long, or asks for what an expression has no business with.
    #[error("jqPathExpressions: `{expression}` is refused: {cause}")]
    Refused {
        /// The expression.
        expression: String,
        /// What in it.
        cause: String,
    },
}

impl crate::advice::Advice for JqError {
    fn remedy(&self) -> crate::advice::Remedy {
        crate::advice::Remedy::FixInput
    }

    fn hint(&self) -> Option<String> {
        Some("select fields by path, for example `.spec.containers[] | select(.name == \"proxy\")`".into())
    }
}

type Compiled = Filter<Native<JustLut<Val>>>;

/// Words that loop, define, or look outside the object.
const REFUSED: &[&str] = &[
    "def",
    "reduce",
    "foreach",
    "range",
    "repeat",
    "while",
    "until",
    "limit",
    "recurse",
    "recurse_down",
    "walk",
    "label",
    "env",
    "input",
    "inputs",
    "debug",
    "stderr",
    "now",
    "import",
    "include",
    "combinations",
    "getpath",
    "halt",
    "halt_error",
    "splits",
    "scan",
    "gsub",
    "sub",
    "localtime",
    "$__loc__",
    "$ENV",
    "__loc__",
    "ENV",
    "implode",
    "explode",
    "fromjson",
];
const MAX_LENGTH: usize = 4096;
const MAX_RESULTS: f64 = 1e6;

/// Checks an expression without running it.
///
/// # Errors
/// When it cannot be parsed or is refused.
pub fn check(expression: &str) -> Result<(), JqError> {
    compiled(expression).map(drop)
}

/// Removes what the expression selects. Selecting nothing is fine; an expression that fails on this object changes nothing.
pub(super) fn remove(object: &mut Object, expression: &str) {
    let Ok(filter) = compiled(expression) else { return };
    let Ok(input) = jaq_json::read::parse_single(object.to_value().to_string().as_bytes()) else { return };
    let context = Ctx::<JustLut<Val>>::new(&filter.lut, Vars::new([]));
    let mut results = filter.id.run((context, input)).map(unwrap_valr);
    let (Some(Ok(result)), None) = (results.next(), results.next()) else { return };
    if let Some(changed) = serde_json::from_str(&result.to_string()).ok().and_then(|value| Object::from_value(value).ok()) {
        *object = changed;
    }
}

/// Compiling costs a hundred times as much as running: each thread keeps what it compiled.
fn compiled(expression: &str) -> Result<Rc<Compiled>, JqError> {
    thread_local! {
        static CACHE: RefCell<HashMap<String, Result<Rc<Compiled>, JqError>>> = RefCell::default();
    }
    CACHE.with_borrow_mut(|cache| {
        // Expressions come from settings and Applications, so there are few; a flood of them must not grow for ever.
        if cache.len() > 1000 {
            cache.clear();
        }
        cache.entry(expression.to_owned()).or_insert_with(|| compile(expression).map(Rc::new)).clone()
    })
}

fn compile(expression: &str) -> Result<Compiled, JqError> {
    if let Some(cause) = refusal(expression) {
        return Err(JqError::Refused { expression: expression.to_owned(), cause });
    }
    let invalid = || JqError::Invalid(expression.to_owned());
    let code = format!("del({expression}\n)");
    let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let arena = Arena::default();
    let modules = Loader::new(definitions).load(&arena, File { code: code.as_str(), path: () }).map_err(|_| invalid())?;
    Compiler::default().with_funs(functions).compile(modules).map_err(|_| invalid())
}

/// What could make the expression run for long.
fn refusal(expression: &str) -> Option<String> {
    if expression.len() > MAX_LENGTH {
        return Some(format!("it is longer than {MAX_LENGTH} bytes"));
    }
    let code = without_strings(expression);
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    // A field may have any name: `.env` is one, `env` is the function.
    for (at, found) in code.match_indices(|c: char| word(c)).filter(|(at, _)| !code[..*at].ends_with(word)) {
        let name: String = code[at..].chars().take_while(|c| word(*c)).collect();
        if REFUSED.contains(&name.as_str()) && !code[..at].ends_with('.') && !found.is_empty() {
            return Some(format!("`{name}` is not available"));
        }
    }
    let count = |text: &str| code.matches(text).count();
    if count("..") > 2 || count("[]") > 8 || count("*") > 4 {
        return Some("it combines too many lists".into());
    }
    #[expect(clippy::cast_precision_loss, reason = "bounded by the length above")]
    let (stages, commas) = ((count("|") + 1) as f64, count(",") as f64);
    ((1.0 + commas / stages).powf(stages) > MAX_RESULTS).then(|| "it combines too many alternatives".into())
}

/// The expression without what stands in quotes; interpolation stays.
fn without_strings(expression: &str) -> String {
    let (mut code, mut quoted, mut escaped) = (String::new(), false, false);
    for c in expression.chars() {
        match c {
            _ if escaped => {
                escaped = false;
                // What an interpolation holds is code.
                quoted &= c != '(';
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if !quoted => code.push(c),
            _ => {}
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn after(expression: &str, value: Value) -> Value {
        let mut object = Object::from_value(value).unwrap_or_default();
        remove(&mut object, expression);
        object.into_value()
    }

    #[test]
    fn what_is_selected_is_removed_and_nothing_is_fine() {
        let pod =
            json!({ "spec": { "c": [{ "name": "a" }, { "name": "in" }, { "name": "in" }], "n": 9_007_199_254_740_993_i64 } });
        let left = json!({ "spec": { "c": [{ "name": "a" }], "n": 9_007_199_254_740_993_i64 } });
        assert_eq!(after(".spec.c[] | select(.name == \"in\")", pod.clone()), left);
        for nothing in [".spec.q", ".spec.c[] | select(.name == \"no\")", ".spec.n.x.y", ".a[].b", "error"] {
            assert_eq!(after(nothing, pod.clone()), pod, "{nothing}");
        }
        assert_eq!(after(".spec.c, .spec.n", pod), json!({ "spec": {} }));
    }

    #[test]
    fn what_is_no_jq_or_could_run_for_ever_is_named() {
        for bad in [".a[", "|", ".a)|(.b"] {
            assert!(check(bad).is_err(), "{bad}");
        }
        let long = [
            "repeat(.)",
            "range(1e9)",
            "def f: f; f",
            "until(false; .)",
            "[limit(1e9; repeat(1))]",
            "reduce .. as $x (\"a\"; . + .)",
            "..|..|..|..",
            "env.HOME",
            "$ENV.HOME",
            "input",
            "now",
            "\"\\(env)\"",
            "recurse(.)",
            &"(.,.)|".repeat(40),
        ];
        for bad in long {
            assert!(matches!(check(bad), Err(JqError::Refused { .. })), "{bad}");
        }
        for good in [".env", ".spec.template.spec.containers[].env", "..", ".metadata.annotations.\"a.b/now\"", ".input, .range"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }
}
