//! What a remote lists, and which commit a revision means.
//!
//! Source: Argo CD 3.5 revision resolution (reference section 1.4).

use std::collections::BTreeMap;
use std::fmt;

/// A full commit id, 40 hexadecimal digits in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Commit(String);

impl Commit {
    /// Takes 40 hexadecimal digits; anything else is `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| Self(text.to_ascii_lowercase()))
    }

    /// Stands for a commit where there is none: the files of an archive.
    pub(super) fn of_tree(id: gix::ObjectId) -> Self {
        Self(id.to_string())
    }

    /// The 40 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The references of a remote: full name to commit, annotated tags followed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Refs(pub(super) BTreeMap<String, Commit>);

/// Answer to the question which commit a revision means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resolution {
    Found(Commit),
    Ambiguous,
    Unknown,
}

impl Refs {
    /// Looks a revision up: a full reference name, a tag, a branch, then an abbreviated commit id at the tip of a reference.
    pub(super) fn resolve(&self, revision: &str) -> Resolution {
        let revision = if revision.is_empty() { "HEAD" } else { revision };
        let names =
            [revision.to_owned(), format!("refs/{revision}"), format!("refs/tags/{revision}"), format!("refs/heads/{revision}")];
        if let Some(commit) = names.iter().find_map(|name| self.0.get(name)) {
            return Resolution::Found(commit.clone());
        }
        if !is_abbreviated(revision) {
            return Resolution::Unknown;
        }
        let prefix = revision.to_ascii_lowercase();
        let mut found: Vec<&Commit> = self.0.values().filter(|commit| commit.as_str().starts_with(&prefix)).collect();
        found.sort_unstable();
        found.dedup();
        match found.as_slice() {
            [] => Resolution::Unknown,
            [one] => Resolution::Found((*one).clone()),
            _ => Resolution::Ambiguous,
        }
    }
}

/// True for what may be the beginning of a commit id: 7 to 39 hexadecimal digits.
pub(super) fn is_abbreviated(revision: &str) -> bool {
    (7..40).contains(&revision.len()) && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// True for what upstream takes for a range of versions: `1.2.*`, `>=1 <2`, `^1`, `~1.2`, `1.x`.
pub(super) fn looks_like_range(revision: &str) -> bool {
    let versionish = |part: &str| {
        !part.is_empty() && part.split('.').all(|piece| !piece.is_empty() && piece.bytes().all(|byte| byte.is_ascii_digit()))
    };
    revision.contains(['*', '^', '~', '>', '<', '=', '|', ','])
        || revision.split_once(" - ").is_some()
        || revision
            .trim_start_matches('v')
            .strip_suffix(".x")
            .or_else(|| revision.trim_start_matches('v').strip_suffix(".X"))
            .is_some_and(versionish)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn commit(digit: &str) -> Commit {
        Commit::parse(&digit.repeat(40)).unwrap()
    }

    fn refs() -> Refs {
        Refs(BTreeMap::from([
            ("HEAD".into(), commit("a")),
            ("refs/heads/main".into(), commit("a")),
            ("refs/heads/release/1.2".into(), commit("b")),
            ("refs/heads/v1".into(), commit("c")),
            ("refs/tags/v1".into(), commit("d")),
            ("refs/tags/1.2".into(), commit("e")),
            ("refs/pull/1/head".into(), Commit::parse(&format!("{}{}", "aaaaaaa", "0".repeat(33))).unwrap()),
        ]))
    }

    #[test]
    fn finds_what_a_revision_means() {
        let found = |revision: &str| match refs().resolve(revision) {
            Resolution::Found(commit) => commit.as_str()[..1].to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(found(""), "a");
        assert_eq!(found("HEAD"), "a");
        assert_eq!(found("main"), "a");
        assert_eq!(found("heads/main"), "a");
        assert_eq!(found("release/1.2"), "b");
        assert_eq!(found("v1"), "d", "a tag comes before a branch of the same name");
        assert_eq!(found("refs/heads/v1"), "c");
        assert_eq!(found("1.2"), "e");
        assert_eq!(found("refs/pull/1/head"), "a");
        assert_eq!(found("bbbbbbb"), "b");
        assert_eq!(found("BBBBBBBB"), "b");
        assert_eq!(found("aaaaaaa"), "Ambiguous");
        assert_eq!(found("bbbbbb"), "Unknown", "six digits are too few");
        assert_eq!(found("1.2.*"), "Unknown");
    }

    #[test]
    fn tells_ranges_from_names() {
        for range in ["1.2.*", "*", ">=1.0 <2.0", "^1.2", "~1.2", "1.x", "v1.2.x", "1.0 - 2.0"] {
            assert!(looks_like_range(range), "{range}");
        }
        for name in ["1.2", "v1.2.3", "main", "release/1.x-lts", "fix", "feature.x"] {
            assert!(!looks_like_range(name), "{name}");
        }
    }
}
