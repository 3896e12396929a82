//! Files of other sources: `$name/path` in value files and file parameters.
//!
//! Source: Argo CD 3.5 (reference section 1.9): only the first segment of a path is looked at; a name that no source has is an
//! error, and so are two revisions of one repository at a time.

use std::collections::BTreeMap;

use crate::source::{SourceError, SourceTree, same_repository};

use super::super::RenderError;

/// Sources that others refer to, by name.
pub type References = BTreeMap<String, Reference>;

/// A source that others may refer to.
#[derive(Debug, Clone)]
pub struct Reference {
    /// URL of its repository.
    pub url: String,
    /// True for a repository of Git, which is the only kind that can be referred to.
    pub is_git: bool,
    /// The files, or why there are none.
    pub tree: Result<SourceTree, SourceError>,
}

/// The name in front of `$name/path`, and the path from the root of that source.
pub(super) fn split(path: &str) -> Option<(&str, &str)> {
    let (first, rest) = path.split_once('/')?;
    Some((first.strip_prefix('$').filter(|name| !name.is_empty())?, rest))
}

/// Looks a name up.
pub(super) fn find<'r>(references: &'r References, name: &str, field: &str) -> Result<&'r SourceTree, RenderError> {
    let wrong = |problem: String| Err(RenderError::option(field, problem));
    let Some(reference) = references.get(name) else {
        return wrong(if references.is_empty() {
            format!("source referenced \"${name}\", but no source has a 'ref' field defined")
        } else {
            let names: Vec<String> = references.keys().map(|name| format!("${name}")).collect();
            format!("source referenced \"${name}\", which is not one of the available sources ({})", names.join(", "))
        });
    };
    if !reference.is_git {
        return wrong(format!("\"${name}\" refers to a source that is not in Git, and only Git can be referred to"));
    }
    reference.tree.as_ref().map_err(|error| error.clone().into())
}

/// Refuses what would need two checkouts of one repository.
pub(super) fn check<'r>(
    own: (&str, &SourceTree),
    references: &'r References,
    used: impl Iterator<Item = &'r str>,
) -> Result<(), RenderError> {
    let mut seen: Vec<(&str, &str)> = vec![(own.0, own.1.revision())];
    for name in used {
        let Some(Reference { url, tree: Ok(tree), .. }) = references.get(name) else { continue };
        let other = seen.iter().find(|(known, revision)| same_repository(known, url) && *revision != tree.revision());
        if let Some((_, revision)) = other {
            let problem = format!(
                "cannot reference multiple revisions for the same repository: \"${name}\" is {url} at {}, and {revision} is used as well",
                tree.revision()
            );
            return Err(RenderError::option("helm.valueFiles", problem));
        }
        seen.push((url, tree.revision()));
    }
    Ok(())
}
