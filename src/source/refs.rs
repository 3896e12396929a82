//! What a remote lists, and which commit a revision means.
//!
//! Source: Argo CD 3.5 revision resolution (reference section 1.4).

use std::collections::BTreeMap;
use std::fmt;

use super::version;

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
    /// A constraint that no tag satisfies.
    NoMatchingTag,
    Unknown,
}

impl Refs {
    fn highest_tag(&self, constraint: &str, tag_prefix: &str) -> Option<&Commit> {
        let prefix = format!("refs/tags/{tag_prefix}");
        let tags = self.0.range(prefix.clone()..).map_while(|(name, _)| name.strip_prefix(&prefix));
        let best = version::highest(constraint, tags)?;
        self.0.get(&format!("{prefix}{best}"))
    }

    /// True when the remote has no commit at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks a revision up: the highest tag that satisfies a version constraint, a full reference name, a tag, a branch, then
    /// an abbreviated commit id at the tip of a reference. Versions and constraints are looked for among the tags that begin
    /// with `tag_prefix`.
    pub(super) fn resolve(&self, revision: &str, tag_prefix: &str) -> Resolution {
        let revision = if revision.is_empty() { "HEAD" } else { revision };
        let constraint = version::is_constraint(revision);
        if constraint && let Some(commit) = self.highest_tag(revision, tag_prefix) {
            return Resolution::Found(commit.clone());
        }
        let prefixed = if version::is_version(revision) { format!("{tag_prefix}{revision}") } else { revision.to_owned() };
        let names =
            [prefixed.clone(), format!("refs/{prefixed}"), format!("refs/tags/{prefixed}"), format!("refs/heads/{prefixed}")];
        if let Some(commit) = names.iter().find_map(|name| self.0.get(name)) {
            return Resolution::Found(commit.clone());
        }
        if constraint {
            return Resolution::NoMatchingTag;
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
        let found = |revision: &str| match refs().resolve(revision, "") {
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
        assert_eq!(found("1.2.*"), "e", "a constraint");
    }

    fn with_tags(tags: &[(&str, &str)]) -> Refs {
        Refs(tags.iter().map(|(name, digit)| ((*name).to_owned(), commit(digit))).collect())
    }

    #[test]
    fn constraints_choose_the_highest_tag_and_never_a_branch() {
        let refs = with_tags(&[
            ("refs/tags/v1.2.3", "a"),
            ("refs/tags/1.2.10", "b"),
            ("refs/tags/2.0.0-rc.1", "c"),
            ("refs/tags/latest", "d"),
            ("refs/heads/1.2.99", "e"),
        ]);
        let found = |revision: &str| refs.resolve(revision, "");
        assert_eq!(found("1.2.*"), Resolution::Found(commit("b")));
        assert_eq!(found("~1.2.0"), Resolution::Found(commit("b")));
        assert_eq!(found(">=2.0.0-0"), Resolution::Found(commit("c")));
        assert_eq!(found(">=2"), Resolution::NoMatchingTag);
        assert_eq!(found("1.2.3"), Resolution::Unknown, "an exact version is a name, and no tag is called so");
        assert_eq!(found("1.2.99"), Resolution::Found(commit("e")));
    }

    #[test]
    fn a_tag_prefix_belongs_to_versions_and_constraints_only() {
        let refs = with_tags(&[
            ("refs/tags/web/1.0.0", "a"),
            ("refs/tags/web/1.4.0", "b"),
            ("refs/tags/api/1.9.0", "c"),
            ("refs/tags/1.9.0", "d"),
            ("refs/heads/main", "e"),
        ]);
        let found = |revision: &str| refs.resolve(revision, "web/");
        assert_eq!(found("1.*"), Resolution::Found(commit("b")));
        assert_eq!(found("1.0.0"), Resolution::Found(commit("a")));
        assert_eq!(found("1.9.0"), Resolution::Unknown);
        assert_eq!(found("main"), Resolution::Found(commit("e")));
    }
}
