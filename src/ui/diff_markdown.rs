//! Differences as Markdown, for a comment on a pull request. Pure.

use serde_json::Value;

use super::diff_view::{AppDiff, headline};
use super::{text, yaml};
use crate::diff::{Change, FieldChange, ObjectDiff};

/// Comments may have 65,536 characters on GitHub; the rest is for what stands around.
const LONGEST: usize = 60_000;

/// One heading for each Application, one section that unfolds for each object.
#[must_use]
pub fn markdown(diffs: &[AppDiff]) -> String {
    let mut page = String::new();
    for diff in diffs {
        page.push_str(&format!("### {}\n\n", escape(&headline(diff))));
        for (number, object) in diff.objects.iter().enumerate() {
            let section = section(object);
            if page.len() + section.len() > LONGEST {
                let left = diff.objects.len() - number;
                page.push_str(&format!("… and {left} more: `kubectl gitops diff` shows them.\n\n"));
                break;
            }
            page.push_str(&section);
        }
    }
    page
}

fn section(object: &ObjectDiff) -> String {
    let sign = match object.change {
        Change::Create => "+",
        Change::Update => "~",
        Change::Delete => "-",
    };
    let head = format!("{sign} <code>{}</code>", escape(&text::clean(&object.key.to_string())));
    let body: String = object.fields.iter().map(lines).collect();
    if body.is_empty() {
        return format!("{head}\n\n");
    }
    let fence = fence(&body);
    format!("<details><summary>{head}</summary>\n\n{fence}diff\n{body}{fence}\n\n</details>\n\n")
}

fn lines(field: &FieldChange) -> String {
    let path = text::clean(field.path.trim_start_matches('.'));
    if field.masked {
        return format!("  {path} ({})\n", field.word());
    }
    let side = |sign: char, value: &Option<Value>| -> String {
        let Some(value) = value else { return String::new() };
        let text = match value {
            Value::String(text) => text.clone(),
            other => yaml::write(other),
        };
        text.lines().map(|line| format!("{sign} {}\n", text::clean(line))).collect()
    };
    format!("@@ {path} @@\n{}{}", side('-', &field.from), side('+', &field.to))
}

/// A fence that no line of the content can close.
fn fence(body: &str) -> String {
    let longest = body.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('@', "&#64;")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::diff::object_diff;
    use crate::resource::Object;
    use serde_json::json;

    fn object(kind: &str, data: &Value) -> Object {
        Object::from_value(
            json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": "a", "namespace": "web" }, "data": data }),
        )
        .unwrap()
    }

    fn page(kind: &str, from: &Value, to: &Value) -> String {
        let (from, to) = (object(kind, from), object(kind, to));
        let objects = object_diff(&from.key(), Some(&from), Some(&to)).into_iter().collect();
        markdown(&[AppDiff {
            app: "argocd/web".into(),
            base: "1111111".into(),
            revision: "2222222".into(),
            objects,
            prunes: true,
        }])
    }

    #[test]
    fn a_change_is_a_section_that_unfolds() {
        let expected = "\
### argocd/web: 1 change   1111111 against 2222222

<details><summary>~ <code>ConfigMap web/a</code></summary>

```diff
@@ data.k @@
- 1
+ 2
```

</details>

";
        assert_eq!(page("ConfigMap", &json!({ "k": "1" }), &json!({ "k": "2" })), expected);
    }

    #[test]
    fn content_cannot_leave_its_fence_and_secrets_are_not_shown() {
        let text = page("ConfigMap", &json!({ "k": "1" }), &json!({ "k": "````\n</details>@all" }));
        assert!(text.contains("\n`````diff\n"), "{text}");
        let text = page("Secret", &json!({ "k": "bWFya2Vy" }), &json!({ "k": "b3RoZXI=" }));
        assert!(text.contains("data.k (changed)") && !text.contains("bWFya2Vy") && !text.contains("b3RoZXI="), "{text}");
    }

    #[test]
    fn a_comment_never_grows_too_long() {
        let many: serde_json::Map<String, Value> = (0..20_000).map(|n| (format!("key-{n}"), json!("value"))).collect();
        let text = page("ConfigMap", &json!({}), &Value::Object(many));
        assert!(text.len() < LONGEST && text.contains("and 1 more"), "{}", text.len());
    }
}
