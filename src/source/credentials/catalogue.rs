//! All Secrets about repositories, and the answer for one URL.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;

use super::access::{Access, Kind};
use super::fields::{self, TEMPLATE};
use super::{CredentialError, Trust, url};

/// What the control namespace says about reaching repositories. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    repositories: Vec<Entry>,
    templates: Vec<Entry>,
    trust: Trust,
    problems: Vec<CredentialError>,
}

#[derive(Debug)]
struct Entry {
    secret: String,
    url: String,
    /// Name that a chart's dependency may use instead of the URL.
    alias: String,
    /// Project that it is reserved for; empty for all.
    project: String,
    access: Result<Access, CredentialError>,
}

/// One registered repository, for lists. Nothing secret is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Name of the Secret.
    pub secret: &'a str,
    /// URL as written.
    pub url: &'a str,
    /// Name of the repository; empty for none.
    pub alias: &'a str,
    /// Project that it is reserved for; empty for all.
    pub project: &'a str,
    /// True for all repositories whose URL begins so.
    pub is_template: bool,
    /// `git`, `helm` or `oci`.
    pub kind: &'static str,
    /// How it logs in, in a word or two; nothing secret.
    pub login: String,
}

impl Catalogue {
    /// Reads Secrets; those without the label are left out. Order does not matter: they are looked at by name.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>, trust: Trust) -> Self {
        let mut inner = Inner { trust, ..Inner::default() };
        let mut secrets: Vec<(&str, &Secret)> =
            secrets.into_iter().filter_map(|secret| Some((fields::kind_of(secret)?, secret))).collect();
        secrets.sort_by(|(_, a), (_, b)| a.metadata.name.cmp(&b.metadata.name));
        for (kind, secret) in secrets {
            let entry = Entry::read(secret);
            inner.problems.extend(entry.access.as_ref().err().cloned());
            if entry.url.is_empty() {
                inner.problems.push(CredentialError::NoUrl { secret: entry.secret });
            } else if kind == TEMPLATE {
                inner.templates.push(entry);
            } else {
                inner.repositories.push(entry);
            }
        }
        Self { inner: Arc::new(inner) }
    }

    /// How a repository is reached by an Application of a project. A URL that no Secret is for is reached anonymously.
    ///
    /// A Secret of the Application's project comes before one of no project; one of another project is never used. A login
    /// that the Secret lacks comes from the template with the longest URL that the repository's begins with.
    ///
    /// # Errors
    /// The Secret for this URL cannot be read. Others do not matter.
    ///
    /// **Source**: Argo CD 3.5; fixtures `credentials/*`.
    pub fn access(&self, url: &str, project: &str) -> Result<Access, CredentialError> {
        let found = self.repository(url, project).map_or_else(|| Ok(Access::default()), |entry| entry.access.clone());
        self.complete(found?, url)
    }

    /// How a repository is reached that a chart's dependency calls by its name (`@name` or `alias:name`), and its URL.
    ///
    /// # Errors
    /// Its Secret cannot be read.
    pub fn access_by_name(&self, alias: &str, project: &str) -> Result<Option<(&str, Access)>, CredentialError> {
        let named = |entry: &&Entry| entry.alias == alias;
        let Some(entry) = choose(self.inner.repositories.iter().filter(named), project) else { return Ok(None) };
        Ok(Some((&entry.url, self.complete(entry.access.clone()?, &entry.url)?)))
    }

    /// URLs that are registered for one project alone; the project may use them though its `sourceRepos` do not name them.
    pub fn urls_of_project<'a>(&'a self, project: &'a str) -> impl Iterator<Item = &'a str> {
        let own = move |entry: &&Entry| !project.is_empty() && entry.project == project;
        self.inner.repositories.iter().filter(own).map(|entry| entry.url.as_str())
    }

    /// Everything that is registered, repositories first.
    pub fn listed(&self) -> impl Iterator<Item = Listed<'_>> {
        let repositories = self.inner.repositories.iter().map(|entry| entry.listed(false));
        repositories.chain(self.inner.templates.iter().map(|entry| entry.listed(true)))
    }

    /// What is wrong with Secrets, whether somebody uses them or not.
    #[must_use]
    pub fn problems(&self) -> &[CredentialError] {
        &self.inner.problems
    }

    /// What is registered and has no effect yet, for the log.
    pub fn without_effect(&self) -> impl Iterator<Item = String> {
        let lfs = |entry: &&Entry| entry.access.as_ref().is_ok_and(|access| access.enable_lfs);
        self.inner.repositories.iter().filter(lfs).map(|entry| {
            format!("enableLfs of Secret `{}` has no effect yet: files that LFS keeps elsewhere are their pointers", entry.secret)
        })
    }

    fn repository(&self, wanted: &str, project: &str) -> Option<&Entry> {
        choose(self.inner.repositories.iter().filter(|entry| url::same(&entry.url, wanted)), project)
    }

    fn complete(&self, mut access: Access, wanted: &str) -> Result<Access, CredentialError> {
        if !access.has_login()
            && let Some(template) = self.template(wanted)
        {
            access.fill_from(template.access.as_ref().map_err(Clone::clone)?);
        }
        access.certificates = self.inner.trust.certificates_of(&url::host(wanted)).map(ToOwned::to_owned);
        if url::is_ssh(wanted) {
            access.known_hosts = self.inner.trust.known_hosts();
        }
        Ok(access)
    }

    /// The template with the longest URL; of equal ones the first by name.
    fn template(&self, wanted: &str) -> Option<&Entry> {
        let mut best: Option<(usize, &Entry)> = None;
        for entry in &self.inner.templates {
            if let Some(length) = url::covered(&entry.url, wanted)
                && best.is_none_or(|(longest, _)| length > longest)
            {
                best = Some((length, entry));
            }
        }
        best.map(|(_, entry)| entry)
    }
}

/// The first of the project, else the first of no project.
fn choose<'a>(entries: impl Iterator<Item = &'a Entry> + Clone, project: &str) -> Option<&'a Entry> {
    let own = entries.clone().find(|entry| entry.project == project);
    own.or_else(|| entries.clone().find(|entry| entry.project.is_empty()))
}

impl Entry {
    fn read(secret: &Secret) -> Self {
        Self {
            secret: secret.metadata.name.clone().unwrap_or_default(),
            url: fields::text_of(secret, "url"),
            alias: fields::text_of(secret, "name"),
            project: fields::text_of(secret, "project"),
            access: fields::access(secret),
        }
    }

    fn listed(&self, is_template: bool) -> Listed<'_> {
        let kind = match self.access.as_ref().ok().and_then(|access| access.kind) {
            Some(Kind::Helm) => "helm",
            Some(Kind::Oci) => "oci",
            Some(Kind::Git) | None => "git",
        };
        let login = self.access.as_ref().map_or_else(|_| "<cannot be read>".to_owned(), Access::describe_login);
        Listed { secret: &self.secret, url: &self.url, alias: &self.alias, project: &self.project, is_template, kind, login }
    }
}
