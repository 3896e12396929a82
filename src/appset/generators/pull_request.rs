//! `pullRequest`: one set per pull request.

use serde_json::Value as Json;

use super::{Generated, Scope, Stop, add_values, part, question};
use crate::appset::inputs::{Answer, Request};
use crate::appset::params::{Param, Params};
use crate::appset::scm::{PullRequest, PullRequestFilter, short};
use crate::template::{normalize, slug};

/// Longest slug of a branch.
const MAX_SLUG: usize = 50;

/// One set per pull request that one of the filters lets through, if there are any.
pub fn generate(section: &Json, scope: &Scope<'_>) -> Generated {
    let filters: Vec<PullRequestFilter> = part(section, "filters")?;
    let Answer::PullRequests(requests) = scope.ask(Request::PullRequests(question(section)))? else {
        return Err(Stop::Failed("the answer is not about pull requests".to_owned()));
    };
    let mut sets = Vec::new();
    for request in requests {
        let mut permitted = filters.is_empty();
        for filter in &filters {
            permitted |= filter.permits(request)?;
        }
        if permitted {
            let mut set = params_of(request, scope.renderer.go);
            add_values(section, &mut set, scope.renderer)?;
            sets.push(set);
        }
    }
    Ok(sets)
}

fn params_of(request: &PullRequest, go: bool) -> Params {
    let texts = [
        ("number", request.number.clone()),
        ("title", request.title.clone()),
        ("branch", request.branch.clone()),
        ("branch_slug", branch_slug(&request.branch)),
        ("target_branch", request.target_branch.clone()),
        ("target_branch_slug", branch_slug(&request.target_branch)),
        ("head_sha", request.head_sha.clone()),
        ("head_short_sha", short(&request.head_sha, 8)),
        ("head_short_sha_7", short(&request.head_sha, 7)),
        ("author", request.author.clone()),
    ];
    let mut set: Params = texts.into_iter().map(|(key, text)| (key.to_owned(), Param::Text(text))).collect();
    if go {
        set.insert("labels".into(), Param::Texts(request.labels.clone()));
    }
    set
}

/// A branch as a part of a URL.
fn branch_slug(branch: &str) -> String {
    let spelled = branch.replace('&', "and").replace('@', "at");
    slug(&normalize(&spelled), MAX_SLUG, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_short_and_cut_between_words() {
        assert_eq!(branch_slug("Feature/ABC_123 fix.it"), "feature-abc-123-fix-it");
        assert_eq!(
            branch_slug("this-is-a-very-long-branch-name-that-goes-on-and-on-and-on"),
            "this-is-a-very-long-branch-name-that-goes-on-and"
        );
        assert_eq!(branch_slug(""), "");
    }
}
