//! From a SealedSecret to the Secret that it stands for. All items open, or there is no Secret.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use zeroize::Zeroize as _;

use super::diagnosis::{Diagnosis, diagnose};
use super::templates::{render_all, templates};
use super::{Keyring, OpenedSecret, Plaintext, Target, Trial, base64};
use crate::advice::{Advice, Remedy};
use crate::api::SealedSecret;
use crate::template::World;

const UNDECRYPTABLE: &str = "no key could decrypt secret";

/// Why a SealedSecret cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// Some items do not open.
    #[error("{0}")]
    Items(Box<ItemFailures>),
    /// The items open, but the Secret also has texts from templates, and nobody asked for them to be rendered.
    #[error("spec.template.data is not rendered here ({})", keys.join(", "))]
    TemplateData {
        /// Its keys.
        keys: Vec<String>,
    },
    /// Both formats at once.
    #[error("cannot use the field 'encryptedData' and the deprecated field 'data' at the same time")]
    BothFormats,
    /// The whole-object format, which the installation does not open.
    #[error("using deprecated 'data' field, use 'encryptedData' or flip the feature flag")]
    WholeObject,
    /// The whole-object format opened, but there is no Secret inside.
    #[error("the deprecated field 'data' does not hold a Secret")]
    NotASecret,
}

impl Advice for UnsealError {
    fn remedy(&self) -> Remedy {
        Remedy::FixInput
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Items(failures) => return failures.hint(),
            Self::TemplateData { .. } => {
                "only the controller and offline recovery make the whole Secret; the items alone are fine".to_owned()
            }
            Self::BothFormats => "remove spec.data if the items are in spec.encryptedData".to_owned(),
            Self::NotASecret | Self::WholeObject => "seal the Secret again; that writes spec.encryptedData".to_owned(),
        })
    }
}

/// Items that do not open: each message once, with the keys that it holds for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemFailures {
    messages: BTreeMap<String, Vec<String>>,
    diagnosis: Option<Diagnosis>,
    template_hint: Option<String>,
}

impl ItemFailures {
    /// Why the undecryptable items do not open, if there are any.
    #[must_use]
    pub const fn diagnosis(&self) -> Option<&Diagnosis> {
        self.diagnosis.as_ref()
    }

    fn hint(&self) -> Option<String> {
        let base64 = || "items are base64 in one line, or in several without spaces (`|`, not `>-`)".to_owned();
        Some(self.diagnosis.as_ref().map(Diagnosis::hint).or_else(|| self.template_hint.clone()).unwrap_or_else(base64))
    }
}

/// Upstream's texts, one per line; then what we found out about the undecryptable ones.
impl fmt::Display for ItemFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (message, keys)) in self.messages.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "\n" })?;
            f.write_str(message)?;
            if !keys.is_empty() {
                write!(f, " ({})", keys.join(", "))?;
            }
            if message == UNDECRYPTABLE
                && let Some(finding) = self.diagnosis.as_ref().and_then(Diagnosis::finding)
            {
                write!(f, ": {finding}")?;
            }
        }
        Ok(())
    }
}

/// What to do with `spec.template.data`.
pub enum Templates<'w> {
    /// Renders it, with time, randomness and zones of this world. For who may have the whole Secret.
    Render(&'w mut dyn World),
    /// Opens the items and then says that the rest is missing: for checks, which must not run foreign templates.
    Refuse,
}

/// Opens the items of a SealedSecret where it is, without running a template: namespace, name and scope come from its own
/// metadata, never from the template.
///
/// # Errors
/// When an item does not open with any key, or there are templates. No error carries plaintext.
pub fn unseal(sealed: &SealedSecret, keys: &Keyring, trial: &mut Trial) -> Result<OpenedSecret, UnsealError> {
    unseal_as(sealed, &Target::of(&sealed.metadata), keys, trial, Templates::Refuse)
}

/// Opens a SealedSecret where it is and renders its templates: the whole Secret. May take seconds: not for an async thread.
///
/// # Errors
/// When an item does not open or a template fails; all that does is named. No error carries plaintext.
pub fn unseal_rendering(
    sealed: &SealedSecret,
    keys: &Keyring,
    trial: &mut Trial,
    world: &mut dyn World,
) -> Result<OpenedSecret, UnsealError> {
    unseal_as(sealed, &Target::of(&sealed.metadata), keys, trial, Templates::Render(world))
}

/// Opens a SealedSecret as if it were somewhere else. Only a holder of the keys can do that: it is for recovery and drills.
///
/// # Errors
/// As [`unseal`] or [`unseal_rendering`].
pub fn unseal_as(
    sealed: &SealedSecret,
    target: &Target,
    keys: &Keyring,
    trial: &mut Trial,
    templates: Templates<'_>,
) -> Result<OpenedSecret, UnsealError> {
    match &sealed.spec.data {
        Some(blob) => open_whole_object(sealed, blob, target, keys, trial),
        None => open_items(sealed, target, keys, trial, templates),
    }
}

/// Whether every item opens as if the SealedSecret were at `target`. Stops at the first that does not, looks for no reason, and
/// leaves the template alone: this is for drills that try several places.
#[must_use]
pub fn opens_as(sealed: &SealedSecret, target: &Target, keys: &Keyring, trial: &mut Trial) -> bool {
    let label = target.label();
    let mut items = sealed.spec.encrypted_data.values().chain(&sealed.spec.data);
    items.all(|text| base64::decode(text).is_ok_and(|blob| keys.open(&label, &blob, trial).is_some()))
}

fn open_items(
    sealed: &SealedSecret,
    target: &Target,
    keys: &Keyring,
    trial: &mut Trial,
    templates: Templates<'_>,
) -> Result<OpenedSecret, UnsealError> {
    let label = target.label();
    let mut opened = BTreeMap::new();
    let mut messages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut undecryptable = None;
    for (key, text) in &sealed.spec.encrypted_data {
        let failure = match base64::decode(text) {
            Err(error) => error.to_string(),
            Ok(blob) => match keys.open(&label, &blob, trial) {
                Some(plaintext) => {
                    opened.insert(key.clone(), plaintext);
                    continue;
                }
                None => {
                    undecryptable.get_or_insert(blob);
                    UNDECRYPTABLE.to_owned()
                }
            },
        };
        messages.entry(failure).or_default().push(key.clone());
    }
    let mut template_hint = None;
    match templates {
        Templates::Render(world) => {
            let rendered = render_all(sealed, &opened, world);
            for (message, key) in rendered.failures {
                messages.entry(message).or_default().push(key);
            }
            opened.extend(rendered.texts);
            template_hint = rendered.hint;
        }
        Templates::Refuse => {
            let keys: Vec<String> = self::templates(sealed).map(|(key, _)| key.clone()).collect();
            if messages.is_empty() && !keys.is_empty() {
                return Err(UnsealError::TemplateData { keys });
            }
        }
    }
    if messages.is_empty() {
        return Ok(OpenedSecret::from_template(sealed, opened));
    }
    let diagnosis = undecryptable.map(|blob| diagnose(sealed, target, &blob, keys, trial));
    Err(UnsealError::Items(Box::new(ItemFailures { messages, diagnosis, template_hint })))
}

/// Opens the legacy format: one blob that holds a whole Secret. Its metadata stays, except for what identifies it.
pub(super) fn open_whole_object(
    sealed: &SealedSecret,
    text: &str,
    target: &Target,
    keys: &Keyring,
    trial: &mut Trial,
) -> Result<OpenedSecret, UnsealError> {
    if !sealed.spec.encrypted_data.is_empty() {
        return Err(UnsealError::BothFormats);
    }
    let failed = |message: String, diagnosis| {
        UnsealError::Items(Box::new(ItemFailures {
            messages: BTreeMap::from([(message, Vec::new())]),
            diagnosis,
            template_hint: None,
        }))
    };
    let blob = base64::decode(text).map_err(|error| failed(error.to_string(), None))?;
    let Some(plaintext) = keys.open(&target.label(), &blob, trial) else {
        let diagnosis = diagnose(sealed, target, &blob, keys, trial);
        return Err(failed(UNDECRYPTABLE.to_owned(), Some(diagnosis)));
    };
    let mut opened = parse_whole_object(&plaintext).ok_or(UnsealError::NotASecret)?;
    opened.take_identity(sealed);
    Ok(opened)
}

fn parse_whole_object(plaintext: &Plaintext) -> Option<OpenedSecret> {
    let Ok(Value::Object(mut secret)) = serde_json::from_slice(plaintext.reveal()) else { return None };
    let mut data = BTreeMap::new();
    if let Some(Value::Object(items)) = secret.remove("data") {
        for (key, value) in items {
            let Value::String(mut text) = value else { return None };
            let bytes = base64::decode(&text);
            text.zeroize();
            data.insert(key, Plaintext::new(bytes.ok()?));
        }
    }
    let Some(Value::Object(metadata)) = secret.remove("metadata") else { return None };
    Some(OpenedSecret {
        metadata,
        type_: secret.get("type").and_then(Value::as_str).map(str::to_owned),
        immutable: secret.get("immutable").and_then(Value::as_bool),
        data,
    })
}
