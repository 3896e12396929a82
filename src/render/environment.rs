//! The build environment: variables that some fields of a source may use, and that child processes see.
//!
//! Source: Argo CD 3.5 build environment (reference section 1.10).

use std::collections::BTreeMap;

use crate::api::application::ApplicationSource;

use super::AppIdentity;

/// Names and values; fixed for one render.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Environment(pub(super) BTreeMap<&'static str, String>);

impl Environment {
    pub(super) fn new(app: &AppIdentity, source: &ApplicationSource, commit: &str) -> Self {
        let short = |length: usize| commit.get(..length).unwrap_or(commit).to_owned();
        Self(BTreeMap::from([
            ("ARGOCD_APP_NAME", app.instance_name.clone()),
            ("ARGOCD_APP_NAMESPACE", app.destination_namespace.clone()),
            ("ARGOCD_APP_PROJECT_NAME", app.project.clone()),
            ("ARGOCD_APP_REVISION", commit.to_owned()),
            ("ARGOCD_APP_REVISION_SHORT", short(7)),
            ("ARGOCD_APP_REVISION_SHORT_8", short(8)),
            ("ARGOCD_APP_SOURCE_REPO_URL", source.repo_url.clone()),
            ("ARGOCD_APP_SOURCE_PATH", source.path.clone()),
            ("ARGOCD_APP_SOURCE_TARGET_REVISION", source.target_revision.clone()),
        ]))
    }

    /// Replaces `$NAME` and `${NAME}`; `$$` is a literal `$`, unknown names become empty.
    pub(super) fn substitute(&self, text: &str) -> String {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            result.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let (name, used) = variable_name(after);
            match name {
                Some("$") => result.push('$'),
                Some(name) => result.push_str(self.0.get(name).map_or("", String::as_str)),
                None if used == 0 => result.push('$'),
                None => {}
            }
            rest = &after[used..];
        }
        result.push_str(rest);
        result
    }
}

/// The name after a `$` and how many bytes it takes. As Go's `os.Expand`: a broken `${` is eaten, a lone `$` stays.
fn variable_name(text: &str) -> (Option<&str>, usize) {
    if text.starts_with('$') {
        return (Some("$"), 1);
    }
    if let Some(braced) = text.strip_prefix('{') {
        return match braced.find('}') {
            Some(0) => (None, 2),
            Some(end) => (Some(&braced[..end]), end + 2),
            None => (None, 1),
        };
    }
    if let Some(special) = text.chars().next().filter(|c| matches!(c, '*' | '#' | '@' | '!' | '?' | '-' | '0'..='9')) {
        return (Some(&text[..special.len_utf8()]), special.len_utf8());
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    if end == 0 { (None, 0) } else { (Some(&text[..end]), end) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substitutes_as_the_original() {
        let app = AppIdentity {
            app_name: "web".into(),
            instance_name: "team_web".into(),
            project: "shop".into(),
            cluster: std::sync::Arc::default(),
            destination_namespace: "prod".into(),
        };
        let source = ApplicationSource { repo_url: "https://host/r".into(), path: "apps/web".into(), ..Default::default() };
        let environment = Environment::new(&app, &source, "0123456789abcdef0123456789abcdef01234567");
        let cases = [
            ("plain", "plain"),
            ("$ARGOCD_APP_NAME-x", "team_web-x"),
            ("${ARGOCD_APP_NAMESPACE}x", "prodx"),
            ("r:$ARGOCD_APP_REVISION_SHORT", "r:0123456"),
            ("$ARGOCD_APP_REVISION_SHORT_8", "01234567"),
            ("$$ARGOCD_APP_NAME", "$ARGOCD_APP_NAME"),
            ("a$UNKNOWN.b", "a.b"),
            ("5$", "5$"),
            ("a $ b", "a $ b"),
            ("$1x", "x"),
            ("${}x", "x"),
        ];
        for (text, expected) in cases {
            assert_eq!(environment.substitute(text), expected, "{text}");
        }
    }
}
