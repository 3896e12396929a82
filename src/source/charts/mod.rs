//! Charts from Helm repositories and OCI registries, and OCI artifacts.
//!
//! ```text
//!  resolve(origin, ">=1 <2") ──> Catalogue ──index.yaml or tags, at most once per poll──> remote
//!  tree(origin, "1.4.2")     ──>    │      ──download, only when missing────────────────>
//!                                   v
//!                                 Store (archives by content, unpacked; may be lost at any time)
//!                                   v
//!                                 SourceTree (as of a commit)
//! ```

mod catalogue;
mod http;
mod index;
mod oci;
mod place;
mod store;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use sha2::{Digest, Sha256};
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::credentials::{Access, Catalogue as Registered};
use super::{Freshness, Layout, Options, SourceError, SourceTree, version};
use crate::api::application::ApplicationSource;
use catalogue::{Catalogue, Need};
use http::Got;
use index::Release;
use oci::{Pulled, Registry, is_digest};
use place::Place;
use store::{Label, Store, blocking};

pub use place::Origin;

/// Longest archive that is downloaded, as large as what it may unpack to.
const MAX_ARCHIVE_BYTES: usize = 100 << 20;
/// Longest file that is downloaded by itself, and how many are remembered.
const MAX_FILE_BYTES: usize = 4 << 20;
const MAX_FILES: usize = 32;
/// The tag of an artifact for which no revision is asked.
const LATEST: &str = "latest";

/// All repositories of charts in use. Cheap to clone; polls stop when the last clone is dropped.
#[derive(Clone)]
pub struct Charts {
    shared: Arc<Shared>,
}

struct Shared {
    options: Options,
    store: Arc<Store>,
    catalogues: Mutex<BTreeMap<String, Running>>,
    files: Mutex<BTreeMap<String, (Instant, Vec<u8>)>>,
    /// What is registered about repositories.
    registered: RwLock<Registered>,
    changes: broadcast::Sender<String>,
}

struct Running {
    catalogue: Arc<Catalogue>,
    poll: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.poll.abort();
    }
}

/// An archive that can be downloaded.
struct Download {
    label: Label,
    url: Option<reqwest::Url>,
    /// SHA-256 of the archive; empty when the index does not say.
    digest: String,
}

impl std::fmt::Debug for Charts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Charts({})", self.catalogues().len())
    }
}

impl Charts {
    pub(super) fn new(options: Options, changes: broadcast::Sender<String>) -> Self {
        let store = Arc::new(Store::new(options.cache_dir.join("charts")));
        Self {
            shared: Arc::new(Shared {
                options,
                store,
                catalogues: Mutex::default(),
                files: Mutex::default(),
                registered: RwLock::default(),
                changes,
            }),
        }
    }

    /// Finds the version of a chart, or the digest of an artifact, that a revision means.
    ///
    /// An exact version is its own answer, without a request.
    ///
    /// # Errors
    /// The place is away or refuses, there is no such chart or no version satisfies the revision.
    pub async fn resolve(&self, origin: &Origin, revision: &str, freshness: Freshness) -> Result<String, SourceError> {
        let catalogue = self.catalogue(origin);
        if freshness == Freshness::Now {
            catalogue.forgive();
        }
        if origin.is_chart() {
            return if version::is_full(revision) {
                Ok(revision.to_owned())
            } else {
                self.release(origin, &catalogue, revision, freshness).await.map(|release| release.version)
            };
        }
        let tag = if matches!(revision, "" | "HEAD") { LATEST } else { revision };
        if is_digest(tag) {
            return Ok(tag.to_owned());
        }
        let tag = if version::is_constraint(tag) {
            self.release(origin, &catalogue, tag, freshness).await?.version.replace('+', "_")
        } else {
            tag.to_owned()
        };
        let known = catalogue.look(&Need::Digest(tag.clone()), freshness).await?;
        known.digests.get(&tag).cloned().flatten().ok_or_else(|| no_such_version(origin, &tag))
    }

    /// The files of a version that was resolved: of a chart below its top folder, of an artifact as they are.
    ///
    /// # Errors
    /// The place is away or refuses, the version is not there, or the archive is none that can be used.
    pub async fn tree(&self, origin: &Origin, revision: &str) -> Result<SourceTree, SourceError> {
        let catalogue = self.catalogue(origin);
        let download = self.download_of(origin, &catalogue, revision).await?;
        let label = download.label.clone();
        if let Some(tree) = blocking(&self.shared.store, move |store| store.find(&label)).await? {
            return Ok(tree);
        }
        let _turn = catalogue.fetching.lock().await;
        let label = download.label.clone();
        if let Some(tree) = blocking(&self.shared.store, move |store| store.find(&label)).await? {
            return Ok(tree);
        }
        if let Some(error) = catalogue.refuses_download(&download.label.key) {
            return Err(error);
        }
        let began = Instant::now();
        let fetched = self.fetch(origin, &download).await;
        catalogue.remember_download(&download.label.key, began, fetched)
    }

    /// The archive of a chart as it was packed, for a chart that depends on it.
    ///
    /// # Errors
    /// As for [`Self::tree`].
    pub async fn archive(&self, origin: &Origin, revision: &str) -> Result<Vec<u8>, SourceError> {
        self.tree(origin, revision).await?;
        let label = self.download_of(origin, &self.catalogue(origin), revision).await?.label;
        let url = label.url.clone();
        let read = blocking(&self.shared.store, move |store| store.archive(&label)).await?;
        read.ok_or(SourceError::CacheFailed { url, problem: "the archive is gone".into() })
    }

    /// Takes over what is registered about repositories, and tells whoever uses one to look again.
    pub fn register(&self, registered: Registered) {
        *self.shared.registered.write().unwrap_or_else(PoisonError::into_inner) = registered;
        let users: BTreeSet<String> = self.catalogues().values().flat_map(|running| running.catalogue.users()).collect();
        for user in users {
            // Nobody listening is no error.
            let _ = self.shared.changes.send(user);
        }
    }

    /// The origin of a source that is no repository of Git, as an Application of a project reaches it.
    ///
    /// # Errors
    /// The URL is not supported, or its Secret cannot be used.
    pub fn origin(&self, source: &ApplicationSource, project: &str) -> Result<Origin, SourceError> {
        Origin::of(source, self.access(source.repo_url.trim(), project)?)
    }

    /// The origin of a chart that another chart depends on. `repository` is a URL, or `@name` or `alias:name` for one that is
    /// registered under a name.
    ///
    /// # Errors
    /// The URL is not supported, no repository has this name, or its Secret cannot be used.
    pub fn origin_of_dependency(&self, repository: &str, chart: &str, project: &str) -> Result<Origin, SourceError> {
        let Some(name) = repository.strip_prefix('@').or_else(|| repository.strip_prefix("alias:")) else {
            return Origin::of_chart(repository, chart, self.access(repository, project)?);
        };
        let registered = self.shared.registered.read().unwrap_or_else(PoisonError::into_inner);
        let found = registered.access_by_name(name, project)?;
        let (url, access) = found.ok_or_else(|| SourceError::UnsupportedUrl {
            url: repository.to_owned(),
            problem: format!("no repository is registered under the name `{name}`"),
        })?;
        Origin::of_chart(url, chart, access)
    }

    fn access(&self, url: &str, project: &str) -> Result<Access, SourceError> {
        let registered = self.shared.registered.read().unwrap_or_else(PoisonError::into_inner);
        let access = registered.access(url, project)?;
        // A login that is not built is said before anything is asked for.
        access.registry_login()?;
        Ok(access)
    }

    /// The content of one small file, such as a value file; remembered until the next poll is due.
    ///
    /// # Errors
    /// The other side is away or refuses, or the file is too large.
    pub async fn file(&self, url: &str) -> Result<Vec<u8>, SourceError> {
        let bad = |error: &dyn std::fmt::Display| SourceError::UnsupportedUrl { url: url.to_owned(), problem: error.to_string() };
        let parsed = reqwest::Url::parse(url).map_err(|error| bad(&error))?;
        if let Some((at, content)) = self.files().get(url)
            && at.elapsed() < self.shared.options.poll_interval
        {
            return Ok(content.clone());
        }
        match http::get(&parsed, &Access::default(), None, MAX_FILE_BYTES, self.shared.options.timeout).await? {
            Got::New { content, .. } => {
                let mut files = self.files();
                if files.len() >= MAX_FILES {
                    files.clear();
                }
                files.insert(url.to_owned(), (Instant::now(), content.clone()));
                Ok(content)
            }
            Got::Unchanged => Err(SourceError::NotFound { url: http::shown(&parsed) }),
        }
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, (Instant, Vec<u8>)>> {
        self.shared.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps only what these URLs name, and what was used since the last call.
    pub(super) fn retain(&self, in_use: &BTreeSet<String>) {
        self.catalogues().retain(|_, running| running.catalogue.is_wanted(in_use));
    }

    async fn release(
        &self,
        origin: &Origin,
        catalogue: &Catalogue,
        revision: &str,
        freshness: Freshness,
    ) -> Result<Release, SourceError> {
        let known = catalogue.look(&Need::Versions, freshness).await?;
        let releases = known.releases(origin).ok_or_else(|| no_such_chart(origin))?;
        let found = version::of_chart(revision, releases.iter().map(|release| release.version.as_str())).map(str::to_owned);
        let found = found.and_then(|found| releases.into_iter().find(|release| release.version == found));
        found.ok_or_else(|| no_such_version(origin, revision))
    }

    /// What to download for a version, and the name under which it is kept.
    async fn download_of(&self, origin: &Origin, catalogue: &Catalogue, revision: &str) -> Result<Download, SourceError> {
        let identity = identity(origin);
        let label = |content: &[&str], revision: &str| Label {
            key: hash([identity.as_str()].iter().chain(content)),
            name: hash([identity.as_str(), &origin.chart, revision].iter()),
            url: origin.place.to_string(),
            revision: revision.to_owned(),
        };
        let Place::Index(base) = &origin.place else {
            return Ok(Download { label: label(&[revision], revision), url: None, digest: String::new() });
        };
        let release = match self.release(origin, catalogue, revision, Freshness::Polled).await {
            // It may have been published a moment ago.
            Err(SourceError::NoSuchVersion { .. } | SourceError::NoSuchChart { .. }) => {
                self.release(origin, catalogue, revision, Freshness::Now).await?
            }
            Ok(release) => release,
            // A version that is here is good enough while its repository is away.
            Err(error) => {
                let label = label(&[], revision);
                let name = label.name.clone();
                let Some(key) = blocking(&self.shared.store, move |store| store.named(&name)).await? else { return Err(error) };
                return Ok(Download { label: Label { key, ..label }, url: None, digest: String::new() });
            }
        };
        let url = release.urls.first().ok_or_else(|| no_such_version(origin, revision))?;
        let base = reqwest::Url::parse(&format!("{base}/"));
        let url = base.and_then(|base| base.join(url)).map_err(|error| SourceError::NotAChartRepository {
            url: origin.place.to_string(),
            problem: format!("its index names `{url}` for {} {}: {error}", origin.chart, release.version),
        })?;
        // Without a digest a chart that was published again is told by its address and its time.
        let content = [url.as_str(), release.digest.as_str(), release.created.as_str()];
        let content: &[&str] = if release.digest.is_empty() { &content } else { &content[1..2] };
        Ok(Download { label: label(content, revision), digest: release.digest.clone(), url: Some(url) })
    }

    async fn fetch(&self, origin: &Origin, download: &Download) -> Result<SourceTree, SourceError> {
        let limit = self.shared.options.timeout;
        let Pulled { content, layout } = match (&download.url, &origin.place) {
            (Some(url), _) if url.scheme() == "oci" => {
                let named = Origin::of_chart_url(url, origin.access_for(url))?;
                let Place::Registry { host, repository } = &named.0.place else { return Err(no_such_version(origin, &named.1)) };
                Registry { host, repository, access: &named.0.access, limit }.pull(&named.1).await?
            }
            (Some(url), _) => match http::get(url, &origin.access_for(url), None, MAX_ARCHIVE_BYTES, limit).await? {
                Got::New { content, .. } => Pulled { content, layout: Layout::Chart },
                Got::Unchanged => return Err(SourceError::NotFound { url: http::shown(url) }),
            },
            (None, Place::Registry { host, repository }) => {
                Registry { host, repository, access: &origin.access, limit }.pull(&download.label.revision).await?
            }
            (None, Place::Index(_)) => return Err(no_such_version(origin, &download.label.revision)),
        };
        let actual = hex::encode(Sha256::digest(&content));
        if !download.digest.is_empty() && download.digest != actual {
            let url = download.url.as_ref().map_or_else(|| origin.place.to_string(), http::shown);
            let problem = format!("its SHA-256 is {actual}, and the index says {}", download.digest);
            return Err(SourceError::BadArchive { url, problem });
        }
        let (label, layout) = (download.label.clone(), if origin.is_chart() { Layout::Chart } else { layout });
        blocking(&self.shared.store, move |store| store.put(&label, &content, layout)).await?
    }

    fn catalogue(&self, origin: &Origin) -> Arc<Catalogue> {
        let mut catalogues = self.catalogues();
        let running = catalogues.entry(identity(origin)).or_insert_with(|| {
            let catalogue = Arc::new(Catalogue::new(origin, self.shared.options.clone(), self.shared.changes.clone()));
            let poll = tokio::spawn(catalogue::poll(catalogue.clone()));
            Running { catalogue, poll }
        });
        running.catalogue.mark_used(&origin.written);
        running.catalogue.clone()
    }

    fn catalogues(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.shared.catalogues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place and the way to enter it. Two users of a place share nothing, because one may see what the other may not.
fn identity(origin: &Origin) -> String {
    format!("{} {} {}", origin.place, origin.access.identity(), origin.pass_credentials)
}

/// Hashes parts, each with its length in front, so that no two lists look alike.
fn hash<'a>(parts: impl Iterator<Item = &'a &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(&hash.finalize()[..20])
}

fn no_such_chart(origin: &Origin) -> SourceError {
    SourceError::NoSuchChart { url: origin.place.to_string(), chart: origin.chart.clone() }
}

fn no_such_version(origin: &Origin, version: &str) -> SourceError {
    SourceError::NoSuchVersion { url: origin.place.to_string(), chart: origin.chart.clone(), version: version.to_owned() }
}
