//! Go's `text/template` with Sprig's functions, as Sealed Secrets and Argo CD's ApplicationSets use them.
//!
//! ```text
//! text ──syntax──> tree ──execute (values, functions, World)──> Text
//! ```
//!
//! Pure: the time, random bytes and time zones come from a [`World`]. Values are secret here: texts are wiped when they are
//! dropped, and with [`Options::confidential`] an error shows no value of the data. A rendering costs a bounded amount of time,
//! memory, output and stack, whatever the template says.
//!
//! Source: Go 1.26 `text/template`, Sprig v3.3.0 (`genericMap` without `env`, `expandenv` and `getHostByName`), Argo CD 3.x.
//! `tests/fixtures/go-template` holds what the originals answer; `docs/compat/templates.md` lists what differs.

mod budget;
mod dates;
mod error;
mod execute;
mod format;
mod functions;
pub mod semver;
mod syntax;
mod text;
mod value;
mod world;

#[cfg(test)]
mod tests;

pub use dates::parse_duration;
pub use error::{Fault, TemplateError};
pub use format::printed;
pub use functions::{FunctionSet, Type, normalize, slug};
pub use text::{MAX_TEXT, Text};
pub use value::{Certificate, Element, List, Map, Value};
#[cfg(test)]
pub(crate) use world::StillWorld;
pub use world::World;

/// Longest template that is read.
pub const MAX_SOURCE: usize = 1 << 20;

/// What an absent key of a map is: Go's option `missingkey`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingKey {
    /// No value; printed as `<no value>`.
    #[default]
    Default,
    /// The zero value of the map's elements.
    Zero,
    /// An error.
    Error,
}

impl MissingKey {
    /// Reads `missingkey=zero` and the like; none when Go would refuse the option.
    #[must_use]
    pub fn from_option(option: &str) -> Option<Self> {
        match option {
            "missingkey=default" | "missingkey=invalid" => Some(Self::Default),
            "missingkey=zero" => Some(Self::Zero),
            "missingkey=error" => Some(Self::Error),
            _ => None,
        }
    }
}

/// How to render.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What absent keys are.
    pub missing_key: MissingKey,
    /// Which functions there are.
    pub functions: FunctionSet,
    /// The data is secret: errors show none of it.
    pub confidential: bool,
}

impl Options {
    /// For `spec.template.data` of a SealedSecret.
    pub const SEALED_SECRETS: Self =
        Self { missing_key: MissingKey::Default, functions: FunctionSet::SealedSecrets, confidential: true };

    /// For an ApplicationSet with `goTemplate: true`.
    #[must_use]
    pub const fn application_set(missing_key: MissingKey) -> Self {
        Self { missing_key, functions: FunctionSet::ApplicationSets, confidential: false }
    }
}

/// Renders a template. May take a second of computing time: not for an async thread.
///
/// # Errors
/// The template cannot be parsed or fails; upstream's text where no value can be in it.
pub fn render(name: &str, source: &str, data: &Value, options: Options, world: &mut dyn World) -> Result<Text, TemplateError> {
    if source.len() > MAX_SOURCE {
        return Err(TemplateError::Syntax { name: name.to_owned(), line: 1, problem: "longer than 1 MiB".to_owned() });
    }
    let trees = syntax::parse(name, source, &|function| options.functions.get(function).is_some())?;
    execute::execute(&trees, name, source, data, options, world)
}
