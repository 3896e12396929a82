//! Kubernetes label selectors on any texts: cluster Secrets, and parameters, whose values need not be label values.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// A selector that was checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl Selector {
    /// Reads `matchLabels` and `matchExpressions`; an absent selector and `{}` match everything.
    ///
    /// # Errors
    /// A key that is no label name, an unknown operator, `In` without values or `Exists` with some.
    pub fn parse(selector: Option<&Json>) -> Result<Self, String> {
        let Some(selector) = selector.filter(|selector| !selector.is_null()) else { return Ok(Self::default()) };
        let mut requirements = Vec::new();
        for (key, value) in selector.get("matchLabels").and_then(Json::as_object).into_iter().flatten() {
            let value = value.as_str().ok_or_else(|| format!("selector.matchLabels: the value of {key:?} is no text"))?;
            requirements.push(Requirement { key: key.clone(), operator: Operator::In, values: vec![value.to_owned()] });
        }
        for expression in selector.get("matchExpressions").and_then(Json::as_array).into_iter().flatten() {
            requirements.push(requirement(expression)?);
        }
        requirements.iter().try_for_each(|one| check_key(&one.key))?;
        Ok(Self(requirements))
    }

    /// True when nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True when every requirement is met. `NotIn` is met by an absent key.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|one| {
            let value = labels.get(&one.key);
            match one.operator {
                Operator::In => value.is_some_and(|value| one.values.contains(value)),
                Operator::NotIn => value.is_none_or(|value| !one.values.contains(value)),
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
            }
        })
    }
}

fn requirement(expression: &Json) -> Result<Requirement, String> {
    let text = |field: &str| expression.get(field).and_then(Json::as_str).unwrap_or_default().to_owned();
    let items = expression.get("values").and_then(Json::as_array).into_iter().flatten();
    let values: Vec<String> = items.filter_map(Json::as_str).map(str::to_owned).collect();
    let operator = match text("operator").as_str() {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        other => {
            return Err(format!(
                "selector.matchExpressions: {other:?} is not a valid label selector operator (known: In, NotIn, Exists, DoesNotExist)"
            ));
        }
    };
    let wants_values = matches!(operator, Operator::In | Operator::NotIn);
    if wants_values == values.is_empty() {
        let should =
            if wants_values { "must be set for operators In and NotIn" } else { "must be empty for Exists and DoesNotExist" };
        return Err(format!("selector.matchExpressions: values of {:?} {should}", text("key")));
    }
    Ok(Requirement { key: text("key"), operator, values })
}

/// A qualified name: an optional DNS prefix and `/`, then up to 63 letters, digits, `-`, `_` and `.` that begin and end with a
/// letter or digit.
fn check_key(key: &str) -> Result<(), String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let ends = |c: char| c.is_ascii_alphanumeric();
    let good_name = !name.is_empty()
        && name.len() <= 63
        && name.starts_with(ends)
        && name.ends_with(ends)
        && name.chars().all(|c| ends(c) || matches!(c, '-' | '_' | '.'));
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good_prefix = prefix.is_none_or(|prefix| {
        prefix.len() <= 253
            && prefix
                .split('.')
                .all(|part| part.starts_with(lower) && part.ends_with(lower) && part.chars().all(|c| lower(c) || c == '-'))
    });
    if good_name && good_prefix {
        return Ok(());
    }
    Err(format!("selector: {key:?} is no label name, so nothing can be selected by it (letters, digits, `-`, `_` and `.`)"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_empty_selector_matches_all_and_values_may_be_anything() {
        assert!(Selector::parse(None).unwrap().matches(&labels(&[])));
        assert!(Selector::parse(Some(&json!({}))).unwrap().matches(&labels(&[])));
        let url = Selector::parse(Some(&json!({ "matchLabels": { "server": "https://1.2.3.4:6443" } }))).unwrap();
        assert!(url.matches(&labels(&[("server", "https://1.2.3.4:6443")])));
    }

    #[test]
    fn not_in_is_met_by_an_absent_key() {
        let expressions = json!({ "matchExpressions": [{ "key": "env", "operator": "NotIn", "values": ["prod"] }] });
        let selector = Selector::parse(Some(&expressions)).unwrap();
        assert!(selector.matches(&labels(&[])));
        assert!(!selector.matches(&labels(&[("env", "prod")])));
    }

    #[test]
    fn what_kubernetes_refuses_is_refused() {
        let error = |value: Json| Selector::parse(Some(&value)).unwrap_err();
        assert!(error(json!({ "matchLabels": { "path[0]": "a" } })).contains("path[0]"));
        assert!(error(json!({ "matchExpressions": [{ "key": "a", "operator": "In" }] })).contains("must be set"));
        assert!(error(json!({ "matchExpressions": [{ "key": "a", "operator": "in", "values": ["b"] }] })).contains("\"in\""));
    }
}
