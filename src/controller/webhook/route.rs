//! `POST /api/webhook`: takes a delivery in, answers at once, and leaves the rest to the worker.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use tokio::sync::mpsc;

use super::delivery::{self, Refusal};
use super::secrets::Secrets;
use super::{Event, payload};
use crate::controller::http::plain;

/// Deliveries that may wait. Each is small, and those for one repository are handled together.
const QUEUE: usize = 10_000;
/// How long a sender may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where deliveries go.
#[derive(Clone)]
pub struct Deliveries {
    secrets: Arc<RwLock<Secrets>>,
    events: mpsc::Sender<Event>,
    max_body_bytes: usize,
}

impl Deliveries {
    /// Makes a queue; the other end is for the worker.
    #[must_use]
    pub fn new(max_body_bytes: usize) -> (Self, mpsc::Receiver<Event>) {
        let (events, receiver) = mpsc::channel(QUEUE);
        (Self { secrets: Arc::default(), events, max_body_bytes }, receiver)
    }

    /// The secrets, to be kept up to date.
    #[must_use]
    pub fn secrets(&self) -> Arc<RwLock<Secrets>> {
        Arc::clone(&self.secrets)
    }
}

/// The route.
pub fn routes(deliveries: Deliveries) -> Router {
    Router::new().route("/api/webhook", any(receive)).with_state(deliveries)
}

async fn receive(State(deliveries): State<Deliveries>, request: Request) -> Response {
    if request.method() != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "deliveries are posted\n");
    }
    let (parts, body) = request.into_parts();
    // Whoever is nobody that we know does not get to send a body.
    let host = match delivery::claim(&parts.headers) {
        Ok(host) => host,
        Err(refusal) => return refuse(refusal),
    };
    let body = match tokio::time::timeout(TIMEOUT, axum::body::to_bytes(body, deliveries.max_body_bytes)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return plain(StatusCode::PAYLOAD_TOO_LARGE, "the delivery is too long\n"),
        Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, "the delivery took too long\n"),
    };
    let secrets = deliveries.secrets.read().unwrap_or_else(PoisonError::into_inner).clone();
    let event = delivery::verify(host, &parts.headers, &body, &secrets).and_then(|()| payload::read(host, &parts.headers, &body));
    match event {
        Ok(None) => StatusCode::OK.into_response(),
        Ok(Some(event)) => match deliveries.events.try_send(event) {
            Ok(()) => StatusCode::OK.into_response(),
            Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "too many deliveries are waiting\n"),
        },
        Err(refusal) => refuse(refusal),
    }
}

fn refuse(refusal: Refusal) -> Response {
    match refusal {
        Refusal::UnknownHost => plain(StatusCode::BAD_REQUEST, "Unknown webhook event\n"),
        Refusal::NotGenuine(host) => {
            // Who tries secrets has to be seen; what was sent is not written down.
            tracing::warn!(?host, security = true, "a webhook delivery is not genuine");
            let status = if host == delivery::Host::Ghcr { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
            plain(status, "the delivery is not signed with the secret in argocd-secret\n")
        }
        Refusal::Unreadable(host) => {
            tracing::warn!(?host, "a webhook delivery cannot be read");
            plain(StatusCode::BAD_REQUEST, "the delivery cannot be read\n")
        }
    }
}
