//! What generators need from outside, as questions and answers. Generators never ask the outside themselves: whoever runs
//! them answers their questions and runs them again, until none is left.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::scm::{Branch, PullRequest, Repository};

/// A question of a generator. Equal questions have equal answers within one pass.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Request {
    /// The names of all files of a repository.
    GitTree {
        /// URL of the repository.
        repo: String,
        /// Branch, tag or commit; `HEAD` when nothing is said.
        revision: String,
        /// Project whose repositories may be used; empty when the template's project is itself a template.
        project: String,
    },
    /// The content of one file of a tree.
    GitFile {
        /// URL of the repository.
        repo: String,
        /// Project, as in [`Self::GitTree`].
        project: String,
        /// The commit that [`Tree`] named.
        commit: String,
        /// Path in the repository.
        path: String,
    },
    /// The repositories of an `scmProvider` section, which is kept as its JSON text.
    Repositories(String),
    /// The branches of one of them: the default one, or all.
    Branches(String, Repository),
    /// Whether a path exists in a branch.
    PathExists(String, Repository, Branch, String),
    /// The pull requests of a `pullRequest` section, as its JSON text.
    PullRequests(String),
    /// The reply of a plugin: its ConfigMap and the JSON text of its parameters.
    Plugin {
        /// Name of the ConfigMap.
        config_map: String,
        /// JSON text of `input.parameters`.
        parameters: String,
    },
    /// The decisions of a `clusterDecisionResource` section, as its JSON text.
    Decisions(String),
}

/// The answer to a [`Request`].
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To [`Request::GitTree`].
    Tree(Tree),
    /// To [`Request::GitFile`].
    File(String),
    /// To [`Request::Repositories`].
    Repositories(Vec<Repository>),
    /// To [`Request::Branches`].
    Branches(Vec<Branch>),
    /// To [`Request::PathExists`].
    Exists(bool),
    /// To [`Request::PullRequests`].
    PullRequests(Vec<PullRequest>),
    /// To [`Request::Plugin`]: the sets of parameters.
    Parameters(Vec<Json>),
    /// To [`Request::Decisions`].
    Decisions(Decisions),
}

/// The files of a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// The commit.
    pub commit: String,
    /// Paths of all files, in lexical order. Folders exist where files are in them.
    pub files: Vec<String>,
}

/// What cluster decision resources decided.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decisions {
    /// Key of a decision that holds the name of a cluster.
    pub match_key: String,
    /// The decisions of all resources.
    pub decisions: Vec<Json>,
}

/// A registered cluster, without its credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// URL of its API server.
    pub server: String,
    /// The project that it belongs to; empty when to none.
    pub project: String,
    /// Labels of its Secret.
    pub labels: BTreeMap<String, String>,
    /// Annotations of its Secret.
    pub annotations: BTreeMap<String, String>,
}

/// Everything that was read.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Registered clusters. The local one is among them only when a Secret registers it.
    pub clusters: Vec<Cluster>,
    /// Names of the projects.
    pub projects: BTreeSet<String>,
    /// Answers by question; an error text where there is none.
    pub answers: BTreeMap<Request, Result<Answer, String>>,
    /// Real `**` in the patterns of git files.
    pub new_file_globbing: bool,
}
