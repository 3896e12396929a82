//! Both template modes on texts and on JSON: `{{name}}` substitution and Go templates.

use std::borrow::Cow;
use std::cell::RefCell;

use serde_json::{Map, Value as Json};

use super::params::{Param, Params, to_value};
use crate::template::{self, MissingKey, Options, Value, World};

/// Renders the texts of one ApplicationSet.
pub struct Renderer<'w> {
    /// Go templates instead of substitution.
    pub go: bool,
    missing_key: MissingKey,
    world: RefCell<&'w mut dyn World>,
}

/// One set of parameters, ready for many texts.
pub struct Prepared<'p> {
    params: &'p Params,
    value: Option<Value>,
}

impl<'w> Renderer<'w> {
    /// Makes a renderer; the last `missingkey` option counts.
    ///
    /// # Errors
    /// An option that Go does not know.
    pub fn new(go: bool, options: &[String], world: &'w mut dyn World) -> Result<Self, String> {
        let mut missing_key = MissingKey::Default;
        for option in options.iter().filter(|_| go) {
            missing_key = MissingKey::from_option(option).ok_or_else(|| {
                format!("spec.goTemplateOptions: unknown option {option:?} (known: missingkey=default, missingkey=zero, missingkey=error)")
            })?;
        }
        Ok(Self { go, missing_key, world: RefCell::new(world) })
    }

    /// Makes a set of parameters ready.
    #[must_use]
    pub fn prepare<'p>(&self, params: &'p Params) -> Prepared<'p> {
        Prepared { params, value: self.go.then(|| to_value(params)) }
    }

    /// Renders one text.
    ///
    /// # Errors
    /// The template is broken or fails, in upstream's words.
    pub fn text(&self, text: &str, params: &Prepared<'_>) -> Result<String, String> {
        self.text_with(text, params, self.missing_key)
    }

    /// Renders one text, or gives it back as it is when a parameter is missing or something else fails.
    #[must_use]
    pub fn text_if_complete(&self, text: &str, params: &Prepared<'_>) -> String {
        self.text_with(text, params, MissingKey::Error).unwrap_or_else(|_| text.to_owned())
    }

    fn text_with(&self, text: &str, params: &Prepared<'_>, missing_key: MissingKey) -> Result<String, String> {
        // Most texts of a template are plain.
        if !text.contains("{{") {
            return Ok(text.to_owned());
        }
        let Some(value) = &params.value else { return substitute(text, params.params).map(Cow::into_owned) };
        let options = Options::application_set(missing_key);
        let rendered = template::render("", text, value, options, &mut **self.world.borrow_mut());
        rendered.map(|text| text.to_str().into_owned()).map_err(|error| format!("failed to execute go template {text}: {error}"))
    }

    /// Renders every text of a JSON value, keys of maps included.
    ///
    /// # Errors
    /// As [`Self::text`], with the path of the field.
    pub fn json(&self, value: &Json, params: &Prepared<'_>) -> Result<Json, String> {
        self.json_at(value, &mut |text| self.text(text, params), &mut Vec::new())
    }

    /// As [`Self::json`] with what can be rendered now; texts that fail stay as they are.
    #[must_use]
    pub fn json_if_complete(&self, value: &Json, params: &Prepared<'_>) -> Json {
        let mut render = |text: &str| Ok(self.text_if_complete(text, params));
        self.json_at(value, &mut render, &mut Vec::new()).unwrap_or_else(|_| value.clone())
    }

    fn json_at(
        &self,
        value: &Json,
        render: &mut dyn FnMut(&str) -> Result<String, String>,
        path: &mut Vec<String>,
    ) -> Result<Json, String> {
        Ok(match value {
            Json::String(text) => Json::String(render(text).map_err(|error| format!("{}: {error}", path.join(".")))?),
            Json::Array(items) => {
                let mut rendered = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    path.push(index.to_string());
                    rendered.push(self.json_at(item, render, path)?);
                    path.pop();
                }
                Json::Array(rendered)
            }
            Json::Object(map) => {
                let mut rendered = Map::new();
                for (key, item) in map {
                    path.push(key.clone());
                    let key = render(key).map_err(|error| format!("{}: {error}", path.join(".")))?;
                    rendered.insert(key, self.json_at(item, render, path)?);
                    path.pop();
                }
                Json::Object(rendered)
            }
            other => other.clone(),
        })
    }
}

/// Puts parameters for `{{name}}`: exact names, texts only; what is not known stays as it is. One pass.
///
/// A text without a complete tag on one line is not looked at.
///
/// # Errors
/// A tag that is not closed behind a complete one.
///
/// Source: Argo CD 3.5, which uses the fasttemplate library (reference section 1.5).
fn substitute<'t>(text: &'t str, params: &Params) -> Result<Cow<'t, str>, String> {
    let has_tag = |line: &str| line.find("{{").is_some_and(|start| line[start + 2..].contains("}}"));
    if !text.split('\n').any(has_tag) {
        return Ok(Cow::Borrowed(text));
    }
    let (mut out, mut rest) = (String::new(), text);
    while let Some(start) = rest.find("{{") {
        out.push_str(&rest[..start]);
        let inner = &rest[start + 2..];
        let Some(end) = inner.find("}}") else {
            return Err(format!(
                "invalid template: cannot find end tag=\"}}}}\" in the template={text:?} starting from {inner:?}"
            ));
        };
        let tag = &inner[..end];
        match params.get(tag.trim()) {
            Some(Param::Text(value)) => out.push_str(value),
            _ => {
                out.push_str("{{");
                out.push_str(tag);
                out.push_str("}}");
            }
        }
        rest = &inner[end + 2..];
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::super::params::from_object;
    use super::*;
    use crate::template::StillWorld;

    fn params(value: &Json) -> Params {
        from_object(value.as_object().unwrap())
    }

    #[test]
    fn only_known_texts_are_put_in() {
        let params = params(&json!({ "a": "1", "b": 2, "c": "{{a}}" }));
        let text = |text: &str| substitute(text, &params).map(Cow::into_owned);
        assert_eq!(text("{{ a }}-{{b}}-{{x}}"), Ok("1-{{b}}-{{x}}".into()));
        assert_eq!(text("{{c}}"), Ok("{{a}}".into()), "what is put in is not rendered again");
        assert_eq!(text("}} {{"), Ok("}} {{".into()));
        assert_eq!(text("{{\na}}"), Ok("{{\na}}".into()), "no tag on one line");
        assert_eq!(text("{{}}"), Ok("{{}}".into()));
        assert!(text("{{a}} {{").unwrap_err().contains("cannot find end tag"));
    }

    #[test]
    fn missing_keys_are_as_in_go() {
        let mut params = params(&json!({ "m": {}, "str": "s" }));
        params.insert("values".into(), Param::TextMap([("k".to_owned(), "v".to_owned())].into()));
        let table = [
            (".nope", Some("<no value>"), Some("<no value>"), None),
            (".nope.deeper", Some("<no value>"), None, None),
            (".str.deeper", None, None, None),
            ("index .m \"nope\"", Some("<no value>"), Some("<no value>"), Some("<no value>")),
            (".values.nope", Some("<no value>"), Some(""), None),
            (".values.k", Some("v"), Some("v"), Some("v")),
        ];
        for (expression, default, zero, error) in table {
            for (option, expected) in [("missingkey=default", default), ("missingkey=zero", zero), ("missingkey=error", error)] {
                let mut world = StillWorld::new();
                let renderer = Renderer::new(true, &[option.to_owned()], &mut world).unwrap();
                let rendered = renderer.text(&format!("{{{{ {expression} }}}}"), &renderer.prepare(&params));
                assert_eq!(rendered.ok().as_deref(), expected, "{expression} with {option}");
            }
        }
    }

    #[test]
    fn an_option_that_go_does_not_know_is_named() {
        let mut world = StillWorld::new();
        let error = Renderer::new(true, &["missingkey=eror".into()], &mut world).err().unwrap();
        assert!(error.contains("missingkey=eror"), "{error}");
    }

    #[test]
    fn texts_and_keys_of_json_are_rendered_and_nothing_else() {
        let mut world = StillWorld::new();
        let renderer = Renderer::new(true, &[], &mut world).unwrap();
        let params = params(&json!({ "n": 1_234_567, "k": "key" }));
        let rendered = renderer.json(&json!({ "{{.k}}": ["{{.n}}", 5, true, null] }), &renderer.prepare(&params));
        assert_eq!(rendered, Ok(json!({ "key": ["1.234567e+06", 5, true, null] })));
    }
}
