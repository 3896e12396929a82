//! Versions and constraints by the rules of the Go package `Masterminds/semver`.
//!
//! These are not npm's: `1.2` means `~1.2`, a comma joins, and a pre-release satisfies only a constraint that names one.
//!
//! Source: Masterminds/semver 3.4, which the pinned Sealed Secrets controller is built with.

use std::cmp::Ordering;
use std::fmt;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// A version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version {
    /// The first number.
    pub major: u64,
    /// The second.
    pub minor: u64,
    /// The third.
    pub patch: u64,
    /// Behind `-`.
    pub prerelease: String,
    /// Behind `+`.
    pub metadata: String,
    /// As it was written.
    pub original: String,
}

/// A part of a version, missing, a number or a wildcard; then pre-release and metadata.
const LOOSE: &str =
    r"v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?(-([0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?";
const WILD: &str = r"v?([0-9|xX*]+)(\.[0-9|xX*]+)?(\.[0-9|xX*]+)?(-(?:[0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?(\+(?:[0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?";
const OPERATORS: &str = r"!=|>=|=>|<=|=<|~>|=|>|<|~|\^|";

// Every pattern is a constant that the tests use, so that none of them can fail to compile.
static VERSION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&format!("^{LOOSE}$")).ok());
static CONSTRAINT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&format!(r"^\s*({OPERATORS})\s*({WILD})\s*$")).ok());
static RANGE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&format!(r"\s*({WILD})\s+-\s+({WILD})\s*")).ok());
static FIND: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&format!(r"({OPERATORS})\s*({WILD})")).ok());
static VALID: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let one = format!(r"(?:{OPERATORS})\s*(?:{WILD})\s*");
    Regex::new(&format!(r"^(?:\s*{one})(?:(?:\s+|,\s*){one})*$")).ok()
});

impl Version {
    /// Reads a version; missing parts are zero and a leading `v` is fine.
    ///
    /// # Errors
    /// Upstream's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let invalid = || "invalid semantic version".to_owned();
        let parts = VERSION.as_ref().and_then(|pattern| pattern.captures(text)).ok_or_else(invalid)?;
        let part = |index: usize| parts.get(index).map_or("", |part| part.as_str());
        let number = |index: usize| match part(index).trim_start_matches('.') {
            "" => Ok(0),
            digits => digits.parse().map_err(|_| {
                format!("error parsing version segment: strconv.ParseUint: parsing \"{digits}\": value out of range")
            }),
        };
        let prerelease = part(5);
        if prerelease.split('.').any(|part| part.len() > 1 && part.starts_with('0') && is_number(part)) {
            return Err("version segment starts with 0".to_owned());
        }
        Ok(Self {
            major: number(1)?,
            minor: number(2)?,
            patch: number(3)?,
            prerelease: prerelease.to_owned(),
            metadata: part(7).to_owned(),
            original: text.to_owned(),
        })
    }

    /// Order; metadata does not count.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        let numbers = |version: &Self| (version.major, version.minor, version.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| compare_prereleases(&self.prerelease, &other.prerelease))
    }

    /// The next version with the number at `position` (0 to 2) raised.
    #[must_use]
    pub fn raised(&self, position: usize) -> Self {
        let (major, minor, patch) = match position {
            0 => (self.major.wrapping_add(1), 0, 0),
            1 => (self.major, self.minor.wrapping_add(1), 0),
            _ => (self.major, self.minor, self.patch.wrapping_add(u64::from(self.prerelease.is_empty()))),
        };
        let mut next = Self { major, minor, patch, ..Self::default() };
        next.original = format!("{}{next}", if self.original.starts_with('v') { "v" } else { "" });
        next
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.prerelease.is_empty() {
            write!(f, "-{}", self.prerelease)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn compare_prereleases(first: &str, second: &str) -> Ordering {
    match (first.is_empty(), second.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        _ => {}
    }
    let (mut first, mut second) = (first.split('.'), second.split('.'));
    loop {
        let (a, b) = match (first.next(), second.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => (a, b),
        };
        let order = match (a.parse::<u64>(), b.parse::<u64>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            // Upstream puts numbers before words, as the specification wants.
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => a.cmp(b),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Alternatives of conditions that must all hold.
pub struct Constraint(Vec<Vec<Condition>>);

struct Condition {
    operator: String,
    version: Version,
    /// A part was left out or a wildcard; which one.
    wild: Option<Wild>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wild {
    Major,
    Minor,
    Patch,
}

impl Constraint {
    /// Reads a constraint.
    ///
    /// # Errors
    /// Upstream's text, and one without the constraint in it.
    pub fn parse(text: &str) -> Result<Self, (String, &'static str)> {
        let text = rewrite_ranges(text);
        text.split("||").map(alternative).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a version satisfies it.
    #[must_use]
    pub fn admits(&self, version: &Version) -> bool {
        self.0.iter().any(|conditions| {
            let names_prerelease = conditions.iter().any(|condition| !condition.version.prerelease.is_empty());
            let comparable = version.prerelease.is_empty() || names_prerelease;
            comparable && conditions.iter().all(|condition| condition.admits(version))
        })
    }
}

/// `1.2 - 1.4` is `>= 1.2, <= 1.4`.
fn rewrite_ranges(text: &str) -> String {
    let Some(range) = RANGE.as_ref() else { return text.to_owned() };
    let part = |found: &Captures<'_>, index: usize| found.get(index).map_or(String::new(), |part| part.as_str().to_owned());
    range.replace_all(text, |found: &Captures<'_>| format!(">= {}, <= {} ", part(found, 1), part(found, 7))).into_owned()
}

fn alternative(text: &str) -> Result<Vec<Condition>, (String, &'static str)> {
    let improper = |text: &str| (format!("improper constraint: {text}"), "improper constraint");
    if !VALID.as_ref().is_some_and(|valid| valid.is_match(text)) {
        return Err(improper(text));
    }
    let Some(find) = FIND.as_ref() else { return Err(improper(text)) };
    find.find_iter(text)
        .map(|found| condition(found.as_str()).ok_or(("constraint parser error".to_owned(), "constraint parser error")))
        .collect()
}

fn condition(text: &str) -> Option<Condition> {
    let found = CONSTRAINT.as_ref()?.captures(text)?;
    let part = |index: usize| found.get(index).map_or("", |part| part.as_str());
    let wild = |index: usize| matches!(part(index).trim_start_matches('.'), "" | "x" | "X" | "*");
    let (major, minor, patch, prerelease) = (part(3), part(4), part(5), part(6));
    let (written, wild) = if wild(3) {
        (format!("0.0.0{prerelease}"), Some(Wild::Major))
    } else if wild(4) {
        (format!("{major}.0.0{prerelease}"), Some(Wild::Minor))
    } else if wild(5) {
        (format!("{major}{minor}.0{prerelease}"), Some(Wild::Patch))
    } else {
        (format!("{major}{minor}{patch}{prerelease}"), None)
    };
    Some(Condition { operator: part(1).to_owned(), version: Version::parse(&written).ok()?, wild })
}

impl Condition {
    fn admits(&self, version: &Version) -> bool {
        let order = version.compare(&self.version);
        match self.operator.as_str() {
            "!=" => !self.is_equal(version, order),
            ">" => self.is_greater(version, order),
            "<" => order.is_lt(),
            ">=" | "=>" => order.is_ge(),
            "<=" | "=<" => self.is_less_or_equal(version, order),
            "^" => order.is_ge() && self.same_for_caret(version),
            "~" | "~>" => order.is_ge() && self.same_for_tilde(version),
            _ if self.wild.is_some() => order.is_ge() && self.same_for_tilde(version),
            _ => order.is_eq(),
        }
    }

    fn is_equal(&self, version: &Version, order: Ordering) -> bool {
        match self.wild {
            None => order.is_eq(),
            Some(_) if self.version.major != version.major => false,
            Some(Wild::Minor) => true,
            Some(_) if self.version.minor != version.minor => false,
            Some(Wild::Patch) => compare_prereleases(&version.prerelease, &self.version.prerelease).is_eq(),
            Some(Wild::Major) => self.version.patch == version.patch && order.is_eq(),
        }
    }

    fn is_greater(&self, version: &Version, order: Ordering) -> bool {
        match (self.wild, version.major.cmp(&self.version.major)) {
            (None, _) => order.is_gt(),
            (_, Ordering::Greater) => true,
            (_, Ordering::Less) | (Some(Wild::Minor), _) => false,
            (Some(Wild::Patch), _) => version.minor > self.version.minor,
            (Some(Wild::Major), _) => order.is_gt(),
        }
    }

    fn is_less_or_equal(&self, version: &Version, order: Ordering) -> bool {
        if self.wild.is_none() {
            return order.is_le();
        }
        let minor_above = version.minor > self.version.minor && self.wild != Some(Wild::Minor);
        version.major <= self.version.major && !(version.major == self.version.major && minor_above)
    }

    fn same_for_tilde(&self, version: &Version) -> bool {
        let zero = self.version.major == 0 && self.version.minor == 0 && self.version.patch == 0;
        if zero && !matches!(self.wild, Some(Wild::Minor | Wild::Patch)) {
            return true;
        }
        version.major == self.version.major && (version.minor == self.version.minor || self.wild == Some(Wild::Minor))
    }

    fn same_for_caret(&self, version: &Version) -> bool {
        let wanted = &self.version;
        if wanted.major > 0 || self.wild == Some(Wild::Minor) {
            return version.major == wanted.major;
        }
        if version.major > 0 {
            return false;
        }
        if wanted.minor > 0 || self.wild == Some(Wild::Patch) {
            return version.minor == wanted.minor;
        }
        version.minor == 0 && version.patch == wanted.patch
    }
}
