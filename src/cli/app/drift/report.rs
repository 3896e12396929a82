//! The drift of one Application for people. Pure.

use jiff::Timestamp;
use serde_json::Value;

use super::find::Drifted;
use crate::ui::symbols::Symbols;
use crate::ui::{age, paint, text};

/// Longest value on one line.
const VALUE_COLUMNS: usize = 60;

/// One line for each object, below it one for each field.
pub fn show(app: &str, revision: &str, found: &[Drifted], now: Timestamp) -> String {
    let drifted = found.iter().filter(|one| !one.expected).count();
    let word = match drifted {
        0 => "nothing has drifted".to_owned(),
        1 => "1 thing has drifted".to_owned(),
        many => format!("{many} things have drifted"),
    };
    let from = if revision.is_empty() { String::new() } else { format!("   since {revision} was synced") };
    let mut page = format!("{}\n", paint::bold(text::clean(&format!("{app}: {word}{from}"))));
    let mut last = "";
    for one in found {
        if one.r#ref != last {
            page.push_str(&format!("{}\n", paint::attention(text::clean(&one.r#ref))));
            last = &one.r#ref;
        }
        page.push_str(&line(one, now));
    }
    page
}

fn line(one: &Drifted, now: Timestamp) -> String {
    let what = match (one.path.as_str(), one.change) {
        ("", "removed") => "is gone from the cluster".to_owned(),
        ("", _) => "is not in Git".to_owned(),
        (path, _) => format!("{path}  {}", values(one)),
    };
    let expected = if one.expected { "   expected: leave it out of Git, or list it in ignoreDifferences" } else { "" };
    format!("    {}   {}{}\n", text::clean(&what), paint::faint(text::clean(&writer(one, now))), paint::faint(expected))
}

fn values(one: &Drifted) -> String {
    let symbols = Symbols::get();
    if one.masked {
        return format!("{}{}{}", symbols.open, one.change, symbols.close);
    }
    format!("{} {} {}", value(one.git.as_ref()), symbols.arrow, value(one.live.as_ref()))
}

fn value(value: Option<&Value>) -> String {
    let written = match value {
        None => "(none)".to_owned(),
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(other) => other.to_string(),
    };
    text::cut(&text::clean(&written), VALUE_COLUMNS, Symbols::get().ellipsis)
}

fn writer(one: &Drifted, now: Timestamp) -> String {
    if one.manager.is_empty() {
        return "nobody is recorded".to_owned();
    }
    let through = if one.subresource.is_empty() { String::new() } else { format!(", {}", one.subresource) };
    let by = one.user.as_ref().map(|user| format!("{user} with ")).unwrap_or_default();
    let when =
        if one.time.is_empty() { String::new() } else { format!(" {}, {} ago", one.time, age::since(Some(&one.time), now)) };
    format!("{by}{} ({}{through}){when}", one.manager, one.operation)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    fn replicas() -> Drifted {
        Drifted {
            app: "argocd/web".into(),
            r#ref: "apps/Deployment web/web".into(),
            path: ".spec.replicas".into(),
            change: "changed",
            git: Some(json!(3)),
            live: Some(json!(5)),
            masked: false,
            manager: "kubectl-edit".into(),
            operation: "Update".into(),
            subresource: String::new(),
            time: "2026-11-25T14:02:00Z".into(),
            user: Some("ann".into()),
            expected: false,
        }
    }

    #[test]
    fn a_line_says_what_who_and_when() {
        let gone = Drifted { path: String::new(), change: "removed", manager: String::new(), ..replicas() };
        let text = show("argocd/web", "3f2c1d9", &[replicas(), gone], "2026-11-25T16:02:00Z".parse().unwrap());
        let plain = anstream::adapter::strip_str(&text).to_string().replace('→', "->");
        let expected = "\
argocd/web: 2 things have drifted   since 3f2c1d9 was synced
apps/Deployment web/web
    .spec.replicas  3 -> 5   ann with kubectl-edit (Update) 2026-11-25T14:02:00Z, 120m ago
    is gone from the cluster   nobody is recorded
";
        assert_eq!(plain, expected);
    }
}
