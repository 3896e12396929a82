//! How patterns of an AppProject match: globs as Argo CD's, denials, repository URLs without their spelling.
//!
//! Source: Argo CD 3.5 (reference sections 2.3 and 2.4).

use globset::GlobBuilder;
use regex::Regex;

/// A pattern that is exactly `*` matches everything, separators included. One that is no glob matches nothing.
pub(super) fn glob(pattern: &str, text: &str, literal_separator: bool) -> bool {
    if pattern == "*" || pattern == text {
        return true;
    }
    GlobBuilder::new(pattern).literal_separator(literal_separator).build().is_ok_and(|glob| glob.compile_matcher().is_match(text))
}

/// As [`glob`] without separators; `!pattern` matches what the pattern does not.
pub(super) fn glob_or_denial(pattern: &str, text: &str) -> bool {
    match pattern.strip_prefix('!') {
        Some(denied) => !glob(denied, text, false),
        None => glob(pattern, text, false),
    }
}

/// A glob, or a regular expression between slashes.
pub(super) fn glob_or_expression(pattern: &str, text: &str) -> bool {
    match pattern.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
        Some(expression) => Regex::new(expression).is_ok_and(|expression| expression.is_match(text)),
        None => glob(pattern, text, false),
    }
}

/// A repository URL without what does not matter: case, `.git`, and whether SSH is written as `ssh://host/path` or `host:path`.
///
/// Braces are encoded as in any URL, so they are no alternatives in patterns.
pub(super) fn comparable_url(url: &str) -> String {
    let lower = url.trim().to_lowercase();
    let spelled = match lower.split_once("://") {
        Some(("ssh", rest)) => rest.to_owned(),
        Some(_) => lower,
        // `git@host:path`.
        None if lower.split_once(':').is_some_and(|(host, _)| host.contains('@')) => lower.replacen(':', "/", 1),
        None => lower,
    };
    let bare = spelled.strip_suffix('/').unwrap_or(&spelled);
    bare.strip_suffix(".git").unwrap_or(bare).replace('{', "%7b").replace('}', "%7d")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_repository_are_one() {
        let one = comparable_url("git@git.example:Org/App.git");
        assert_eq!(one, comparable_url("ssh://git@git.example/org/app"));
        assert_eq!(comparable_url(" https://GIT.example/Team/App.git"), "https://git.example/team/app");
        assert_eq!(comparable_url("https://git.example:8443/a"), "https://git.example:8443/a", "a port stays");
    }

    #[test]
    fn namespaces_may_be_expressions() {
        assert!(glob_or_expression("/^team-(a|b)$/", "team-a"));
        assert!(!glob_or_expression("/^team-(a|b)$/", "team-c"));
        assert!(glob_or_expression("team-*", "team-c"));
        assert!(!glob_or_expression("/(/", "x"), "what is no expression matches nothing");
    }
}
