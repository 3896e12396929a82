//! The ways to a cluster's sealing certificate, in the order in which they are tried.

use std::fmt;

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{Api, ListParams};
use kube::{Client, Error};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::keys::store;
use crate::sealing::{Certificate, CertificateError};

/// Namespace in which Sealed Secrets is installed by default.
const UPSTREAM_NAMESPACE: &str = "kube-system";
/// Name that Sealed Secrets' Helm chart gives its Service.
const CHART_SERVICE: &str = "sealed-secrets";
/// Name of our own Service.
const OWN_SERVICE: &str = "gitops-controller";
/// Namespace of our own controller unless it was told otherwise.
const OWN_NAMESPACE: &str = "argocd";
/// Longest answer that is taken for a certificate.
const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// One way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hop {
    /// The ConfigMap that our controller publishes.
    ConfigMap { namespace: String },
    /// A controller's own API behind the API server's proxy.
    Proxy { namespace: String, service: String },
    /// The same API through a tunnel to a pod, where the API server cannot reach pods by itself.
    PortForward { namespace: String, service: String },
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConfigMap { namespace } => write!(f, "ConfigMap {namespace}/{}", crate::keys::CERTIFICATE_MAP),
            Self::Proxy { namespace, service } => write!(f, "proxy to Service {namespace}/{service}"),
            Self::PortForward { namespace, service } => write!(f, "port-forward to Service {namespace}/{service}"),
        }
    }
}

/// The ways for a controller in `namespace` behind `service`: what the user named first, then the usual names.
pub fn plan(namespace: &str, service: &str) -> Vec<Hop> {
    let mut places = vec![(namespace, service), (namespace, OWN_SERVICE), (UPSTREAM_NAMESPACE, service)];
    if service == store::SERVICE {
        places.push((UPSTREAM_NAMESPACE, CHART_SERVICE));
    }
    let mut hops = vec![Hop::ConfigMap { namespace: namespace.to_owned() }];
    if namespace == UPSTREAM_NAMESPACE {
        hops.push(Hop::ConfigMap { namespace: OWN_NAMESPACE.to_owned() });
    }
    let own = |(namespace, service): (&str, &str)| (namespace.to_owned(), service.to_owned());
    for (namespace, service) in places.iter().copied().map(own) {
        let hop = Hop::Proxy { namespace, service };
        if !hops.contains(&hop) {
            hops.push(hop);
        }
    }
    for (namespace, service) in places[..2].iter().copied().map(own) {
        hops.push(Hop::PortForward { namespace, service });
    }
    hops
}

/// Why one way is closed.
#[derive(Debug, thiserror::Error)]
pub enum HopError {
    /// The API server refused or is away.
    #[error(transparent)]
    Api(#[from] Error),
    /// There is nothing at the end of the way.
    #[error("{0}")]
    Nothing(&'static str),
    /// The tunnel broke.
    #[error("the tunnel broke")]
    Tunnel(#[source] std::io::Error),
    /// What came is no certificate.
    #[error("the answer is not a certificate: {0}")]
    NotACertificate(#[from] CertificateError),
}

/// Whether the API server itself is out of reach, so that all other ways are closed too.
pub const fn is_unreachable(error: &Error) -> bool {
    matches!(error, Error::Service(_) | Error::HyperError(_) | Error::Auth(_))
}

/// The reason in one line.
pub fn why(error: &HopError) -> String {
    match error {
        HopError::Api(Error::Api(status)) => status.message.lines().next().unwrap_or_default().to_owned(),
        other => other.to_string(),
    }
}

impl Hop {
    /// Goes this way.
    pub async fn ask(&self, client: &Client) -> Result<String, HopError> {
        let pem = match self {
            Self::ConfigMap { namespace } => {
                let published = store::published_certificate(client, namespace).await?;
                published.ok_or(HopError::Nothing("not found"))?
            }
            Self::Proxy { namespace, service } => store::fetch_certificate(client, namespace, service).await?,
            Self::PortForward { namespace, service } => forwarded(client, namespace, service).await?,
        };
        Certificate::from_pem(&pem)?;
        Ok(pem)
    }
}

async fn forwarded(client: &Client, namespace: &str, service: &str) -> Result<String, HopError> {
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let spec = services.get(service).await?.spec.unwrap_or_default();
    let selector = spec.selector.unwrap_or_default();
    if selector.is_empty() {
        return Err(HopError::Nothing("the Service selects no pods"));
    }
    let selector = selector.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",");
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let running = pods.list(&ListParams::default().labels(&selector)).await?.items.into_iter().find(is_running);
    let pod = running.ok_or(HopError::Nothing("no running pod behind the Service"))?;
    let target = spec.ports.and_then(|ports| ports.into_iter().next()).and_then(|port| port.target_port);
    let port = port_of(&pod, target.as_ref()).ok_or(HopError::Nothing("the pod has no such port"))?;
    let mut tunnel = pods.portforward(pod.metadata.name.as_deref().unwrap_or_default(), &[port]).await?;
    let mut stream = tunnel.take_stream(port).ok_or(HopError::Nothing("no stream"))?;
    // HTTP/1.0: no chunks, and the server closes the connection at the end.
    stream.write_all(b"GET /v1/cert.pem HTTP/1.0\r\nHost: localhost\r\n\r\n").await.map_err(HopError::Tunnel)?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER_BYTES).read_to_string(&mut answer).await.map_err(HopError::Tunnel)?;
    body(&answer).map(str::to_owned).ok_or(HopError::Nothing("the controller has no certificate"))
}

fn is_running(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
}

/// The number of the port that a Service's `targetPort` means in a pod.
fn port_of(pod: &Pod, target: Option<&IntOrString>) -> Option<u16> {
    match target? {
        IntOrString::Int(number) => u16::try_from(*number).ok(),
        IntOrString::String(name) => {
            let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
            let mut ports = containers.iter().flat_map(|container| container.ports.iter().flatten());
            let port = ports.find(|port| port.name.as_deref() == Some(name))?;
            u16::try_from(port.container_port).ok()
        }
    }
}

/// The body of an answer with status 200.
fn body(answer: &str) -> Option<&str> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    (head.split(' ').nth(1)? == "200").then_some(body)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn shown(namespace: &str, service: &str) -> Vec<String> {
        plan(namespace, service).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn cheap_and_permitted_ways_come_first() {
        assert_eq!(
            shown("argocd", "sealed-secrets-controller"),
            [
                "ConfigMap argocd/gitops-sealing-certificate",
                "proxy to Service argocd/sealed-secrets-controller",
                "proxy to Service argocd/gitops-controller",
                "proxy to Service kube-system/sealed-secrets-controller",
                "proxy to Service kube-system/sealed-secrets",
                "port-forward to Service argocd/sealed-secrets-controller",
                "port-forward to Service argocd/gitops-controller",
            ]
        );
        assert_eq!(
            shown("kube-system", "mine")[..3],
            [
                "ConfigMap kube-system/gitops-sealing-certificate",
                "ConfigMap argocd/gitops-sealing-certificate",
                "proxy to Service kube-system/mine",
            ]
        );
    }

    #[test]
    fn a_named_port_is_looked_up_in_the_pod() {
        let pod: Pod = serde_json::from_value(json!({
            "spec": {"containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}]},
        }))
        .unwrap();
        assert_eq!(port_of(&pod, Some(&IntOrString::String("http".into()))), Some(8080));
        assert_eq!(port_of(&pod, Some(&IntOrString::Int(81))), Some(81));
        assert_eq!(port_of(&pod, Some(&IntOrString::String("x".into()))), None);
    }

    #[test]
    fn only_a_good_answer_has_a_body() {
        assert_eq!(body("HTTP/1.0 200 OK\r\nA: b\r\n\r\npem"), Some("pem"));
        assert_eq!(body("HTTP/1.1 500 Oh\r\n\r\ncannot get certificate\n"), None);
    }
}
