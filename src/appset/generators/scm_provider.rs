//! `scmProvider`: repositories of an organization, one set per branch.

use serde_json::Value as Json;

use super::{Generated, Scope, Stop, add_values, part, question};
use crate::appset::inputs::{Answer, Request};
use crate::appset::params::{Param, Params};
use crate::appset::scm::{Branch, Repository, ScmFilter, short};
use crate::template::normalize;

/// One set per branch that the filters let through.
pub fn generate(section: &Json, scope: &Scope<'_>) -> Generated {
    let filters: Vec<ScmFilter> = part(section, "filters")?;
    let (of_branches, of_repositories): (Vec<_>, Vec<_>) = filters.into_iter().partition(ScmFilter::is_of_branches);
    let question = question(section);
    let Answer::Repositories(repositories) = scope.ask(Request::Repositories(question.clone()))? else {
        return Err(unexpected());
    };
    let mut sets = Vec::new();
    let mut missing = false;
    for repository in repositories {
        if !permitted(&of_repositories, |filter| filter.permits_repository(repository))? {
            continue;
        }
        let branches = match scope.ask(Request::Branches(question.clone(), repository.clone())) {
            Ok(Answer::Branches(branches)) => branches,
            Ok(_) => return Err(unexpected()),
            Err(Stop::Missing) => {
                missing = true;
                continue;
            }
            Err(stop) => return Err(stop),
        };
        for branch in branches {
            match branch_permitted(&of_branches, &question, repository, branch, scope) {
                Ok(false) => {}
                Ok(true) => {
                    let mut set = params_of(repository, branch);
                    add_values(section, &mut set, scope.renderer)?;
                    sets.push(set);
                }
                Err(Stop::Missing) => missing = true,
                Err(stop) => return Err(stop),
            }
        }
    }
    if missing { Err(Stop::Missing) } else { Ok(sets) }
}

fn unexpected() -> Stop {
    Stop::Failed("the answer is about something else".to_owned())
}

/// One filter has to hold, if there are any.
fn permitted(filters: &[ScmFilter], holds: impl Fn(&ScmFilter) -> Result<bool, String>) -> Result<bool, String> {
    for filter in filters {
        if holds(filter)? {
            return Ok(true);
        }
    }
    Ok(filters.is_empty())
}

fn branch_permitted(
    filters: &[ScmFilter],
    question: &str,
    repository: &Repository,
    branch: &Branch,
    scope: &Scope<'_>,
) -> Result<bool, Stop> {
    for filter in filters {
        if filter.permits_repository(repository)?
            && filter.permits_branch(branch)?
            && paths_permitted(filter, question, repository, branch, scope)?
        {
            return Ok(true);
        }
    }
    Ok(filters.is_empty())
}

fn paths_permitted(
    filter: &ScmFilter,
    question: &str,
    repository: &Repository,
    branch: &Branch,
    scope: &Scope<'_>,
) -> Result<bool, Stop> {
    let exist = filter.paths_exist.iter().map(|path| (path, true));
    // All are asked for at once, although the first one may decide.
    let (mut missing, mut permitted) = (false, true);
    for (path, wanted) in exist.chain(filter.paths_do_not_exist.iter().map(|path| (path, false))) {
        let path = path.trim_end_matches('/').to_owned();
        match scope.ask(Request::PathExists(question.to_owned(), repository.clone(), branch.clone(), path)) {
            Ok(Answer::Exists(exists)) => permitted &= *exists == wanted,
            Ok(_) => return Err(unexpected()),
            Err(Stop::Missing) => missing = true,
            Err(stop) => return Err(stop),
        }
    }
    if missing { Err(Stop::Missing) } else { Ok(permitted) }
}

fn params_of(repository: &Repository, branch: &Branch) -> Params {
    Params::from([
        ("organization".to_owned(), Param::from(repository.organization.as_str())),
        ("repository".to_owned(), Param::from(repository.name.as_str())),
        ("repository_id".to_owned(), Param::from(&repository.id)),
        ("url".to_owned(), Param::from(repository.url.as_str())),
        ("branch".to_owned(), Param::from(branch.name.as_str())),
        ("sha".to_owned(), Param::from(branch.sha.as_str())),
        ("short_sha".to_owned(), Param::from(short(&branch.sha, 8))),
        ("short_sha_7".to_owned(), Param::from(short(&branch.sha, 7))),
        ("labels".to_owned(), Param::from(repository.labels.join(","))),
        ("branchNormalized".to_owned(), Param::from(normalize(&branch.name))),
    ])
}
