//! Differences on the screen: by field, as `diff -u`, or as data. Pure: from the difference to text.

use serde::Serialize;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::diff::{Change, FieldChange, ObjectDiff};

use super::symbols::Symbols;
use super::{paint, text, yaml};

/// The differences of one Application.
#[derive(Debug, Clone)]
pub struct AppDiff {
    /// `NAMESPACE/NAME` of the Application.
    pub app: String,
    /// What is there now: `live`, or a revision.
    pub base: String,
    /// Revision that it is compared with.
    pub revision: String,
    /// Objects that differ, in the order of a sync.
    pub objects: Vec<ObjectDiff>,
    /// True when a sync would delete what left the source without being told to.
    pub prunes: bool,
}

/// How many unchanged lines stand around a change in long text.
const CONTEXT_LINES: usize = 3;

/// Field by field, for people.
#[must_use]
pub fn human(diff: &AppDiff) -> String {
    let symbols = Symbols::get();
    let mut page = format!("{}\n", paint::bold(headline(diff)));
    for object in &diff.objects {
        page.push_str(&object_head(object, diff.prunes));
        for field in &object.fields {
            page.push_str(&field_lines(field, symbols));
        }
    }
    page
}

/// How many objects differ, and between what.
#[must_use]
pub fn headline(diff: &AppDiff) -> String {
    let number = |change: Change| diff.objects.iter().filter(|object| object.change == change).count();
    let counts = [(Change::Create, "create"), (Change::Update, "change"), (Change::Delete, "delete")];
    let told: Vec<String> = counts
        .iter()
        .filter(|(change, _)| number(*change) > 0)
        .map(|(change, word)| format!("{} {word}", number(*change)))
        .collect();
    let told = if told.is_empty() { "no difference".to_owned() } else { told.join(", ") };
    let with = if diff.revision.is_empty() { String::new() } else { format!("   {} against {}", diff.base, diff.revision) };
    text::clean(&format!("{}: {told}{with}", diff.app))
}

fn object_head(object: &ObjectDiff, prunes: bool) -> String {
    let key = text::clean(&object.key.to_string());
    let mut notes = Vec::new();
    if object.wave != 0 {
        notes.push(format!("wave {}", object.wave));
    }
    if object.change == Change::Delete && !prunes {
        notes.push("needs --prune".to_owned());
    }
    let notes = if notes.is_empty() { String::new() } else { format!("   {}", paint::faint(notes.join(", "))) };
    let line = match object.change {
        Change::Create => paint::good(format!("+ {key}")),
        Change::Update => paint::attention(format!("~ {key}")),
        Change::Delete => paint::bad(format!("- {key}")),
    };
    format!("{line}{notes}\n")
}

fn field_lines(field: &FieldChange, symbols: &Symbols) -> String {
    let path = text::clean(field.path.trim_start_matches('.'));
    if field.masked {
        return format!("    {path} {}{}{}\n", symbols.open, field.word(), symbols.close);
    }
    let mut lines = format!("    {path}\n");
    match (&field.from, &field.to) {
        (Some(Value::String(from)), Some(Value::String(to))) if from.contains('\n') || to.contains('\n') => {
            lines.push_str(&long_text(from, to, symbols));
        }
        (from, to) => {
            lines.push_str(&value_lines(from.as_ref(), Sign::Minus));
            lines.push_str(&value_lines(to.as_ref(), Sign::Plus));
        }
    }
    lines
}

#[derive(Clone, Copy)]
enum Sign {
    Minus,
    Plus,
}

fn signed(sign: Sign, line: &str) -> String {
    let line = text::clean(line);
    match sign {
        Sign::Minus => format!("{}\n", paint::bad(format!("  -   {line}"))),
        Sign::Plus => format!("{}\n", paint::good(format!("  +   {line}"))),
    }
}

fn value_lines(value: Option<&Value>, sign: Sign) -> String {
    let Some(value) = value else { return String::new() };
    let text = match value {
        Value::String(text) => text.clone(),
        other => yaml::write(other),
    };
    if text.is_empty() { signed(sign, "\"\"") } else { text.lines().map(|line| signed(sign, line)).collect() }
}

/// Text of many lines: what changed with a little around it, the rest folded.
fn long_text(from: &str, to: &str, symbols: &Symbols) -> String {
    let diff = TextDiff::from_lines(from, to);
    let groups = diff.grouped_ops(CONTEXT_LINES);
    let mut lines = String::new();
    let mut next = 0;
    let fold = |from: usize, to: usize| match to.saturating_sub(from) {
        0 => String::new(),
        1 => format!("    {} 1 unchanged line\n", symbols.ellipsis),
        many => format!("    {} {many} unchanged lines\n", symbols.ellipsis),
    };
    for group in &groups {
        let start = group.first().map_or(next, |op| op.old_range().start);
        lines.push_str(&paint::faint(fold(next, start)));
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let line = change.value().trim_end_matches('\n');
            lines.push_str(&match change.tag() {
                ChangeTag::Delete => signed(Sign::Minus, line),
                ChangeTag::Insert => signed(Sign::Plus, line),
                ChangeTag::Equal => format!("      {}\n", text::clean(line)),
            });
        }
        next = group.last().map_or(next, |op| op.old_range().end);
    }
    lines + &paint::faint(fold(next, diff.old_len()))
}

/// As `diff -u` of the YAML of both sides.
#[must_use]
pub fn unified(diff: &AppDiff, context_lines: usize) -> String {
    let side =
        |object: Option<&crate::resource::Object>| object.map(|object| yaml::write(&object.to_value())).unwrap_or_default();
    let mut page = String::new();
    for object in &diff.objects {
        let (live, predicted) = (side(object.live.as_ref()), side(object.predicted.as_ref()));
        let texts = TextDiff::from_lines(live.as_str(), predicted.as_str());
        let key = object.key.to_string();
        let header = (
            format!("{} {key}", diff.base),
            format!("{} {key}", if diff.revision.is_empty() { "target" } else { &diff.revision }),
        );
        let text = texts.unified_diff().context_radius(context_lines).header(&header.0, &header.1).to_string();
        page.extend(text.lines().map(|line| unified_line(&text::clean(line))));
    }
    page
}

fn unified_line(line: &str) -> String {
    let painted = match line.as_bytes().first() {
        Some(b'-') => paint::bad(line),
        Some(b'+') => paint::good(line),
        Some(b'@') => paint::faint(line),
        _ => line.to_owned(),
    };
    format!("{painted}\n")
}

/// The differences as data, for programs.
#[derive(Debug, Serialize)]
pub struct AppReport {
    name: String,
    revision: String,
    objects: Vec<ObjectReport>,
}

#[derive(Debug, Serialize)]
struct ObjectReport {
    group: String,
    kind: String,
    namespace: String,
    name: String,
    change: &'static str,
    wave: i64,
    fields: Vec<FieldReport>,
}

#[derive(Debug, Serialize)]
struct FieldReport {
    path: String,
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Value>,
    masked: bool,
}

/// The differences as data. Of hidden values not even the placeholders are given.
#[must_use]
pub fn report(diff: &AppDiff) -> AppReport {
    AppReport {
        name: diff.app.clone(),
        revision: diff.revision.clone(),
        objects: diff.objects.iter().map(object_report).collect(),
    }
}

fn object_report(object: &ObjectDiff) -> ObjectReport {
    let change = match object.change {
        Change::Create => "create",
        Change::Update => "update",
        Change::Delete => "delete",
    };
    let field = |field: &FieldChange| FieldReport {
        path: field.path.clone(),
        change: field.word(),
        from: field.from.clone().filter(|_| !field.masked),
        to: field.to.clone().filter(|_| !field.masked),
        masked: field.masked,
    };
    ObjectReport {
        group: object.key.group.clone(),
        kind: object.key.kind.clone(),
        namespace: object.key.namespace.clone(),
        name: object.key.name.clone(),
        change,
        wave: object.wave,
        fields: object.fields.iter().map(field).collect(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::diff::object_diff;
    use crate::resource::Object;
    use serde_json::json;

    const MARKER: &str = "bWFya2VyLXBsYWludGV4dA==";

    fn example() -> AppDiff {
        let object = |value: Value| Object::from_value(value).unwrap();
        let deployment = |image: &str, script: &str| {
            object(json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "web" },
                "spec": { "image": image, "script": script } }))
        };
        let lines = |changed: &str| {
            (1..=12).map(|n| if n == 6 { format!("{changed}\n") } else { format!("line {n}\n") }).collect::<String>()
        };
        let secret = |data: Value| {
            object(
                json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "db", "namespace": "web" }, "data": data }),
            )
        };
        let old = object(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "old", "namespace": "web" } }));
        let pairs = [
            (Some(deployment("web:1", &lines("six"))), Some(deployment("web:2", &lines("SIX\u{1b}[31m")))),
            (
                Some(secret(json!({ "user": "YQ==", "password": MARKER }))),
                Some(secret(json!({ "user": "YQ==", "password": "Yg==", "port": MARKER }))),
            ),
            (Some(old), None),
        ];
        let objects = pairs.iter().filter_map(|(live, new)| {
            let key = live.as_ref().or(new.as_ref()).unwrap().key();
            object_diff(&key, live.as_ref(), new.as_ref())
        });
        AppDiff {
            app: "argocd/web".into(),
            base: "live".into(),
            revision: "3f2c1d9".into(),
            objects: objects.collect(),
            prunes: false,
        }
    }

    fn plain(text: &str) -> String {
        let text = anstream::adapter::strip_str(text).to_string();
        text.replace('‹', "<").replace('›', ">").replace('…', "...")
    }

    #[test]
    fn by_field_for_people() {
        let expected = "\
argocd/web: 2 change, 1 delete   live against 3f2c1d9
~ apps/Deployment web/web
    spec.image
  -   web:1
  +   web:2
    spec.script
    ... 2 unchanged lines
      line 3
      line 4
      line 5
  -   six
  +   SIX[31m
      line 7
      line 8
      line 9
    ... 3 unchanged lines
~ Secret web/db
    data.password <changed>
    data.port <added>
    data.user <same>
- ConfigMap web/old   needs --prune
";
        assert_eq!(plain(&human(&example())), expected);
    }

    #[test]
    fn as_a_unified_diff() {
        let text = plain(&unified(&example(), 1));
        assert!(text.contains("--- live apps/Deployment web/web\n+++ 3f2c1d9 apps/Deployment web/web\n@@"), "{text}");
        assert!(text.contains("\n-  image: web:1\n") && text.contains("\n+  image: web:2\n"), "{text}");
        assert!(text.contains("-  password: (masked, before)\n+  password: (masked, after)\n+  port: (masked)\n"), "{text}");
    }

    #[test]
    fn no_form_shows_a_secret_value() {
        let diff = example();
        let all =
            [human(&diff), unified(&diff, 99), serde_json::to_string(&report(&diff)).unwrap(), format!("{diff:?}")].concat();
        assert!(!all.contains(MARKER) && !all.contains("Yg=="), "{all}");
    }

    #[test]
    fn nothing_to_tell_is_told() {
        let diff = AppDiff { objects: Vec::new(), ..example() };
        assert_eq!(plain(&human(&diff)), "argocd/web: no difference   live against 3f2c1d9\n");
    }
}
