//! Tags, manifests and layers of an OCI registry.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::manifest::{OciDescriptor, OciManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use tokio::io::AsyncWrite;

use super::super::classify::CONNECT_TIMEOUT;
use super::super::credentials::Access;
use super::super::{Layout, SourceError};
use super::place::is_local;
use super::{MAX_ARCHIVE_BYTES, http};

/// Content of a chart.
const CHART_LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// What is taken for the content of an artifact; `reposerver.oci.layer.media.types` of Argo CD.
const LAYERS: [&str; 3] = ["application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip", CHART_LAYER];
/// Tags of one page.
const PAGE: usize = 1000;
/// Pages of tags that are asked for; a registry that goes on for ever does not keep us.
const MAX_PAGES: usize = 100;

/// One repository of a registry.
pub(super) struct Registry<'a> {
    pub(super) host: &'a str,
    pub(super) repository: &'a str,
    pub(super) access: &'a Access,
    pub(super) limit: Duration,
}

/// A layer with the content of a chart or an artifact.
pub(super) struct Pulled {
    pub(super) content: Vec<u8>,
    pub(super) layout: Layout,
}

impl Registry<'_> {
    /// All tags.
    pub(super) async fn tags(&self) -> Result<Vec<String>, SourceError> {
        self.within_limit(async {
            let client = self.client();
            let image = Reference::with_tag(self.host.into(), self.repository.into(), "latest".into());
            let mut tags: Vec<String> = Vec::new();
            for _ in 0..MAX_PAGES {
                let page = match client.list_tags(&image, &self.auth(), Some(PAGE), tags.last().map(String::as_str)).await {
                    Ok(page) => page.tags,
                    // Some registries say `null` where there are no more.
                    Err(OciDistributionError::JsonError(_)) if !tags.is_empty() => Vec::new(),
                    Err(error) => return Err(self.failed("", error)),
                };
                // A registry may give fewer than were asked for, or not know how to go on and repeat itself.
                if page.last().is_none_or(|last| tags.contains(last)) {
                    break;
                }
                tags.extend(page);
            }
            Ok(tags)
        })
        .await
    }

    /// The digest of a tag; `None` when there is no such tag.
    pub(super) async fn digest(&self, tag: &str) -> Result<Option<String>, SourceError> {
        self.within_limit(async {
            match self.client().fetch_manifest_digest(&self.reference(tag), &self.auth()).await {
                Ok(digest) => Ok(Some(digest)),
                Err(error) if is_missing(&error) => Ok(None),
                Err(error) => Err(self.failed(tag, error)),
            }
        })
        .await
    }

    /// Downloads the content behind a tag or digest. Every digest on the way is checked.
    pub(super) async fn pull(&self, tag: &str) -> Result<Pulled, SourceError> {
        self.within_limit(async {
            let (client, image) = (self.client(), self.reference(tag));
            let (manifest, _) = client.pull_manifest(&image, &self.auth()).await.map_err(|error| self.failed(tag, error))?;
            let layer = self.content_layer(&manifest)?;
            let mut content = Bounded::default();
            client.pull_blob(&image, layer, &mut content).await.map_err(|error| self.failed(tag, error))?;
            let layout = if layer.media_type == CHART_LAYER { Layout::Chart } else { Layout::Plain };
            Ok(Pulled { content: content.0, layout })
        })
        .await
    }

    /// The only layer of a type that is known; a chart may have its signature beside it.
    fn content_layer<'m>(&self, manifest: &'m OciManifest) -> Result<&'m OciDescriptor, SourceError> {
        let bad = |problem: String| SourceError::BadArchive { url: self.url(), problem };
        let OciManifest::Image(manifest) = manifest else {
            return Err(bad("it is an index of several manifests, and one is needed".into()));
        };
        let known: Vec<&OciDescriptor> =
            manifest.layers.iter().filter(|layer| LAYERS.contains(&layer.media_type.as_str())).collect();
        match known.as_slice() {
            [one] if usize::try_from(one.size).is_ok_and(|size| size <= MAX_ARCHIVE_BYTES) => Ok(one),
            [_] => Err(bad(format!("its content is larger than {MAX_ARCHIVE_BYTES} bytes"))),
            [] => {
                let types: Vec<&str> = manifest.layers.iter().map(|layer| layer.media_type.as_str()).collect();
                Err(bad(format!("it has no layer of a known type ({})", types.join(", "))))
            }
            several => Err(bad(format!("it has {} layers with content, and one is needed", several.len()))),
        }
    }

    async fn within_limit<T>(&self, work: impl Future<Output = Result<T, SourceError>>) -> Result<T, SourceError> {
        match tokio::time::timeout(self.limit, work).await {
            Ok(done) => done,
            Err(_) => Err(SourceError::Timeout { url: self.url(), limit: self.limit }),
        }
    }

    fn client(&self) -> Client {
        let plain = self.access.insecure_oci_force_http || is_local(self.host);
        let authorities = self
            .access
            .certificates
            .iter()
            .map(|pem| Certificate { encoding: CertificateEncoding::Pem, data: pem.clone().into_bytes() });
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Client::new(ClientConfig {
            protocol: if plain { ClientProtocol::Http } else { ClientProtocol::Https },
            accept_invalid_certificates: self.access.insecure,
            tls_certs_only: authorities.collect(),
            connect_timeout: Some(self.limit.min(CONNECT_TIMEOUT)),
            https_proxy: text(self.access.proxy.reveal()),
            http_proxy: text(self.access.proxy.reveal()),
            no_proxy: text(&self.access.no_proxy),
            user_agent: concat!("kubectl-gitops/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        })
    }

    fn auth(&self) -> RegistryAuth {
        match self.access.registry_login() {
            _ if !self.access.bearer_token.is_empty() => RegistryAuth::Bearer(self.access.bearer_token.reveal().to_owned()),
            Ok(Some((user, password))) => RegistryAuth::Basic(user.to_owned(), password.reveal().to_owned()),
            Ok(None) | Err(_) => RegistryAuth::Anonymous,
        }
    }

    fn reference(&self, tag: &str) -> Reference {
        let (host, repository) = (self.host.to_owned(), self.repository.to_owned());
        if is_digest(tag) {
            Reference::with_digest(host, repository, tag.to_owned())
        } else {
            // A plus sign is no character of a tag; Helm writes an underscore.
            Reference::with_tag(host, repository, tag.replace('+', "_"))
        }
    }

    fn url(&self) -> String {
        format!("oci://{}/{}", self.host, self.repository)
    }

    fn failed(&self, tag: &str, error: OciDistributionError) -> SourceError {
        let url = self.url();
        if is_missing(&error) {
            return if tag.is_empty() {
                SourceError::NotFound { url }
            } else {
                SourceError::NoSuchRevision { url, revision: tag.to_owned() }
            };
        }
        match error {
            OciDistributionError::UnauthorizedError { .. } => {
                SourceError::AccessDenied { url, problem: "the registry wants other credentials".into() }
            }
            OciDistributionError::AuthenticationFailure(_) => {
                SourceError::AccessDenied { url, problem: "the registry gave no token for these credentials".into() }
            }
            OciDistributionError::RegistryError { envelope, .. } => {
                let denied =
                    envelope.errors.iter().any(|one| matches!(one.code, OciErrorCode::Unauthorized | OciErrorCode::Denied));
                let problem = envelope.errors.iter().map(|one| one.message.clone()).collect::<Vec<_>>().join("; ");
                if denied { SourceError::AccessDenied { url, problem } } else { SourceError::Unreachable { url, problem } }
            }
            OciDistributionError::ServerError { code, .. } if matches!(code, 401 | 403) => {
                SourceError::AccessDenied { url, problem: format!("the registry answered {code}") }
            }
            OciDistributionError::ServerError { code, .. } => {
                SourceError::Unreachable { url, problem: format!("the registry answered {code}") }
            }
            OciDistributionError::RequestError(error) => http::classify(&url, self.limit, &error),
            OciDistributionError::DigestError(error) => SourceError::BadArchive { url, problem: error.to_string() },
            other => SourceError::BadArchive { url, problem: other.to_string() },
        }
    }
}

/// True for `sha256:` and the like.
pub(super) fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(kind, digits)| {
        matches!(kind, "sha256" | "sha384" | "sha512")
            && digits.len() >= 64
            && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn is_missing(error: &OciDistributionError) -> bool {
    use OciErrorCode::{ManifestUnknown, NameUnknown, NotFound};
    match error {
        OciDistributionError::ImageManifestNotFoundError(_) => true,
        OciDistributionError::ServerError { code, .. } => *code == 404,
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().any(|one| matches!(one.code, ManifestUnknown | NameUnknown | NotFound))
        }
        _ => false,
    }
}

/// A buffer that refuses to grow beyond the limit, whatever size the manifest promised.
#[derive(Default)]
struct Bounded(Vec<u8>);

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        if self.0.len() + bytes.len() > MAX_ARCHIVE_BYTES {
            return Poll::Ready(Err(std::io::Error::other(format!("the layer is larger than {MAX_ARCHIVE_BYTES} bytes"))));
        }
        self.0.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
