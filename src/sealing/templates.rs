//! `spec.template.data`: Go templates over the opened items.
//!
//! Only for who may have the result: whoever can submit a SealedSecret can attach any template to somebody's ciphertext, so
//! that even "it failed" would tell something about the value (reference, trap 30). Checks never render.

use std::collections::BTreeMap;

use super::Plaintext;
use crate::advice::Advice as _;
use crate::api::SealedSecret;
use crate::template::{Map, Options, Text, Value, World, render};

/// What became of the templates: texts by key, or messages that hold no value, with the key of each.
#[derive(Default)]
pub(super) struct Rendered {
    pub texts: BTreeMap<String, Plaintext>,
    pub failures: Vec<(String, String)>,
    /// What to do about the first failure.
    pub hint: Option<String>,
}

/// The templates of a SealedSecret that are not empty.
pub(super) fn templates(sealed: &SealedSecret) -> impl Iterator<Item = (&String, &String)> {
    sealed.spec.template.iter().flat_map(|template| template.data.iter().flatten())
}

/// Renders every template. Dot is the map of the opened items; one that does not open is an empty string there, as upstream. No
/// template sees another's result.
pub(super) fn render_all(sealed: &SealedSecret, opened: &BTreeMap<String, Plaintext>, world: &mut dyn World) -> Rendered {
    let mut rendered = Rendered::default();
    let items = sealed.spec.encrypted_data.keys().map(|key| {
        let value = opened.get(key).map_or_else(Text::default, |plaintext| Text::from(plaintext.reveal()));
        (Text::from(key.as_str()), value)
    });
    let dot = Value::Map(Map::of_texts(items.collect()));
    for (key, template) in templates(sealed) {
        match render(key, template, &dot, Options::SEALED_SECRETS, world) {
            Ok(text) => drop(rendered.texts.insert(key.clone(), Plaintext::new(text.into_bytes()))),
            Err(error) => {
                rendered.hint = rendered.hint.or_else(|| error.hint());
                rendered.failures.push((error.to_string(), key.clone()));
            }
        }
    }
    rendered
}
