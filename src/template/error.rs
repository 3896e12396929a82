//! Why a template gave no text, told without what was decrypted.

use std::borrow::Cow;

use zeroize::Zeroizing;

use crate::advice::{Advice, Remedy};

/// What went wrong inside a template: a text that anybody may read, and where upstream's text would show a value, that text too.
#[derive(Clone, PartialEq, Eq)]
pub struct Fault {
    shown: Cow<'static, str>,
    full: Option<Zeroizing<String>>,
}

impl Fault {
    /// A message in which no value of the data can be.
    #[must_use]
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self { shown: message.into(), full: None }
    }

    /// A message with a value of the data in it, and what is said instead where the data is secret.
    #[must_use]
    pub fn with_value(full: String, shown: impl Into<Cow<'static, str>>) -> Self {
        Self { shown: shown.into(), full: Some(Zeroizing::new(full)) }
    }

    /// Puts words before the message.
    #[must_use]
    pub fn after(self, words: &str) -> Self {
        Self {
            shown: format!("{words}{}", self.shown).into(),
            full: self.full.map(|full| Zeroizing::new(format!("{words}{}", *full))),
        }
    }

    pub(super) fn text(&self, confidential: bool) -> &str {
        match &self.full {
            Some(full) if !confidential => full,
            _ => &self.shown,
        }
    }
}

impl std::fmt::Debug for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fault({})", self.shown)
    }
}

/// Why a template gave no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The text is no template.
    #[error("template: {name}:{line}: {problem}")]
    Syntax {
        /// Name of the template.
        name: String,
        /// Line in it, from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// The template failed while it ran.
    #[error("template: {name}:{line}:{column}: executing {template:?} at <{context}>: {problem}")]
    Execution {
        /// Name of the text that was parsed.
        name: String,
        /// Line in it, from 1.
        line: usize,
        /// Bytes before the failing part in its line.
        column: usize,
        /// Name of the template that was running: the text's own or one that it defines.
        template: String,
        /// The failing part, as it stands in the template.
        context: String,
        /// What happened. Without any value when the data was declared confidential.
        problem: String,
    },
    /// There is nothing to run.
    #[error("template: {name}: {name:?} is an incomplete or empty template")]
    Empty {
        /// Name of the template.
        name: String,
    },
}

impl TemplateError {
    /// The message alone, without its place.
    #[must_use]
    pub fn problem(&self) -> &str {
        match self {
            Self::Syntax { problem, .. } | Self::Execution { problem, .. } => problem,
            Self::Empty { .. } => "the template is empty",
        }
    }
}

impl Advice for TemplateError {
    fn remedy(&self) -> Remedy {
        Remedy::FixInput
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Syntax { .. } => "mend the template; docs/compat/templates.md lists the functions".to_owned(),
            Self::Execution { .. } => {
                "the numbers behind the name are the line in the template and the byte in that line".to_owned()
            }
            Self::Empty { .. } => "write a text into the template".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_only_where_the_data_is_not_secret() {
        let fault = Fault::with_value("bad date marker-secret".into(), "bad date").after("error calling f: ");
        assert_eq!(fault.text(false), "error calling f: bad date marker-secret");
        assert_eq!(fault.text(true), "error calling f: bad date");
        assert!(!format!("{fault:?}").contains("marker"));
    }
}
