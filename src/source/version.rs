//! Which version a revision means: tags of Git, versions of a chart, tags of a registry. Pure.
//!
//! A revision that reads as a version (`1.2.3`, `v1.2`) is that version; one that reads as a constraint (`1.2.*`, `>=1 <2`,
//! `~1.4`, `^2`) is the highest version that satisfies it. Pre-releases count only where the constraint itself names one (`-0`).
//!
//! Source: Argo CD 3.5 (reference section 1.4, T17); the rules are those of Masterminds/semver, not npm's.

use crate::template::semver::{Constraint, Version};

/// True for what is one version, however short: `1.2` is a version and no constraint.
#[must_use]
pub fn is_version(text: &str) -> bool {
    Version::parse(text).is_ok()
}

/// True for a version with all three numbers, which names one release and no other.
#[must_use]
pub fn is_full(text: &str) -> bool {
    is_version(text) && text.split(['-', '+']).next().is_some_and(|numbers| numbers.split('.').count() == 3)
}

/// True for what is a constraint and no version.
#[must_use]
pub fn is_constraint(text: &str) -> bool {
    !is_version(text) && Constraint::parse(text).is_ok()
}

/// The highest of some versions that satisfies a constraint, as it was written; `None` when none does or `constraint` is none.
///
/// What is no version is passed over. Of equal versions the first wins.
#[must_use]
pub fn highest<'v>(constraint: &str, versions: impl IntoIterator<Item = &'v str>) -> Option<&'v str> {
    let constraint = Constraint::parse(constraint).ok()?;
    let mut best: Option<(Version, &str)> = None;
    for text in versions {
        let Ok(version) = Version::parse(text) else { continue };
        if constraint.admits(&version) && best.as_ref().is_none_or(|(best, _)| version.compare(best).is_gt()) {
            best = Some((version, text));
        }
    }
    best.map(|(_, text)| text)
}

/// The version of a chart that is asked for, as Helm looks for it: the very text first, then the highest that satisfies it.
///
/// An exact version is a constraint to Helm, so that `v1.2.3` finds `1.2.3` and `1.2` finds the highest `1.2.x`.
#[must_use]
pub fn of_chart<'v>(wanted: &str, versions: impl IntoIterator<Item = &'v str> + Clone) -> Option<&'v str> {
    versions.clone().into_iter().find(|version| *version == wanted).or_else(|| highest(wanted, versions))
}

/// True when one version satisfies a constraint or is the very one asked for.
#[must_use]
pub fn satisfies(wanted: &str, version: &str) -> bool {
    of_chart(wanted, [version]).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGS: &[&str] = &[
        "0.0.3",
        "0.0.4",
        "0.2.3",
        "0.3.0",
        "1.0.0",
        "v1.2.0",
        "1.2.9",
        "1.2.10",
        "1.3.0-rc.1",
        "1.10.0",
        "2.0.0-0",
        "2.0.0+k8s",
        "latest",
        "release-3",
        "2.1.0-beta.2",
        "2.1.0-beta.11",
    ];

    #[test]
    fn tells_versions_from_constraints_and_names() {
        for version in ["1.2.3", "v1.2.3", "1.2", "1", "v2", "1.2.3-rc.1+build"] {
            assert!(is_version(version) && !is_constraint(version), "{version}");
        }
        assert!(
            ["1.2.3", "v1.2.3-a.b", "1.2.3+b.c"].into_iter().all(is_full) && !["1.2", "v1", "1.2-a.b"].into_iter().any(is_full)
        );
        for constraint in ["1.2.*", "*", "1.x", ">=1.0.0 <2.0.0", ">=1, <2", "^1", "~1.2", "1.0 - 2.0", "!=1.2.3", "1.2.3 || 2.x"]
        {
            assert!(is_constraint(constraint), "{constraint}");
        }
        for name in ["main", "HEAD", "release/1.x-lts", "latest", "", "feature-1", "refs/tags/v1"] {
            assert!(!is_version(name) && !is_constraint(name), "{name}");
        }
    }

    /// Each line was checked against Masterminds/semver, which Argo CD and Helm use.
    #[test]
    fn the_highest_version_that_satisfies_is_chosen() {
        let cases = [
            ("*", Some("2.0.0+k8s")),
            ("1.2.*", Some("1.2.10")),
            ("1.2.x", Some("1.2.10")),
            ("~1.2", Some("1.2.10")),
            ("~1.2.0", Some("1.2.10")),
            ("~1", Some("1.10.0")),
            ("^1.2", Some("1.10.0")),
            ("^0.2", Some("0.2.3")),
            ("^0.0.3", Some("0.0.3")),
            ("^0.0", Some("0.0.4")),
            ("^0", Some("0.3.0")),
            (">=1.0 <1.3", Some("1.2.10")),
            (">=1.0, <1.3", Some("1.2.10")),
            ("1.0 - 1.2", Some("1.2.10")),
            ("=1.2.9", Some("1.2.9")),
            ("!=2.0.0", Some("1.10.0")),
            ("!=2.x, !=1.10.x", Some("1.2.10")),
            ("<1.0.0 || 1.2.9", Some("1.2.9")),
            (">1.10", Some("2.0.0+k8s")),
            (">1", Some("2.0.0+k8s")),
            // Pre-releases need a constraint that names one.
            (">=1.3.0-0 <1.4", Some("1.3.0-rc.1")),
            (">=2.0.0-0", Some("2.1.0-beta.11")),
            (">2.0.0", None),
            ("3.x", None),
            ("not a constraint", None),
        ];
        for (constraint, expected) in cases {
            assert_eq!(highest(constraint, TAGS.iter().copied()), expected, "{constraint}");
        }
    }

    #[test]
    fn charts_are_found_by_exact_text_first() {
        let versions = ["1.2.10", "1.2.3", "1.3.0-rc.1"];
        assert_eq!(of_chart("1.2.3", versions), Some("1.2.3"));
        assert_eq!(of_chart("v1.2.3", versions), Some("1.2.3"));
        assert_eq!(of_chart("1.2", versions), Some("1.2.10"));
        assert_eq!(of_chart("1.3.0-rc.1", versions), Some("1.3.0-rc.1"));
        assert_eq!(of_chart("9.9.9", versions), None);
        assert!(satisfies("~1.2.0", "1.2.10") && !satisfies("~1.2.0", "1.3.0"));
    }
}
