//! `/v1/cert.pem`, `/v1/verify`, `/v1/rotate`: what kubeseal asks a controller.
//!
//! Any user of the cluster can reach these routes through the API server, so they tell as little as they can: an item opens or
//! it does not, never why; templates are not rendered; the place comes from the object's own metadata.
//!
//! Source: reference 4.1 to 4.3. Different on purpose: rotate is lossless and rate-limited, bodies are bounded.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures::StreamExt as _;
use tokio::time::{Instant, timeout};

use super::plain;
use super::rate_limit::{Clients, Limit, Verdict};
use super::request::{client, sealed_secret};
use crate::controller::sealedsecret::{Rotation, SealingContext};

/// Longest body. The API server takes no object above 3 MiB; upstream reads without a bound.
pub const MAX_BODY_BYTES: usize = 4 << 20;
/// How long a client may take to send, and a request to wait for its turn; upstream's time-out.
const TIMEOUT: Duration = Duration::from_secs(120);

struct Shared {
    sealing: Arc<SealingContext>,
    limit: Limit,
    started: Instant,
    clients: Mutex<Clients>,
}

/// The routes.
pub fn routes(sealing: Arc<SealingContext>, limit: Limit) -> Router {
    let shared = Arc::new(Shared { sealing, limit, started: Instant::now(), clients: Mutex::default() });
    let limited = middleware::from_fn_with_state(Arc::clone(&shared), limit_rate);
    let measured = middleware::from_fn_with_state(Arc::clone(&shared), measure);
    Router::new()
        .route("/v1/verify", any(verify))
        .route("/v1/rotate", any(rotate))
        .route_layer(limited)
        .route("/v1/cert.pem", any(certificate))
        .route_layer(measured)
        .with_state(shared)
}

async fn certificate(State(shared): State<Arc<Shared>>) -> Response {
    match shared.sealing.certificate() {
        Some(pem) => ([(header::CONTENT_TYPE, "application/x-pem-file")], pem).into_response(),
        None => plain(StatusCode::INTERNAL_SERVER_ERROR, "cannot get certificate\n"),
    }
}

async fn verify(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let body = match read(request.into_body()).await {
        Ok(body) => body,
        Err(status) => return empty(status),
    };
    let Some(sealed) = sealed_secret(&body) else { return empty(StatusCode::INTERNAL_SERVER_ERROR) };
    match timeout(TIMEOUT, shared.sealing.verify(sealed)).await {
        Ok(true) => empty(StatusCode::OK),
        Ok(false) => empty(StatusCode::CONFLICT),
        Err(_) => empty(StatusCode::SERVICE_UNAVAILABLE),
    }
}

async fn rotate(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let body = match read(request.into_body()).await {
        Ok(body) => body,
        Err(status) => return empty(status),
    };
    let Some(sealed) = sealed_secret(&body) else { return empty(StatusCode::INTERNAL_SERVER_ERROR) };
    match timeout(TIMEOUT, shared.sealing.rotate(sealed)).await {
        // Not called JSON, as upstream: clients go by the content.
        Ok(Rotation::Done(json)) => json.into_response(),
        Ok(Rotation::Refused) => empty(StatusCode::INTERNAL_SERVER_ERROR),
        Err(_) => empty(StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// Reads a body within bounds; the error is the status to answer.
async fn read(body: Body) -> Result<Vec<u8>, StatusCode> {
    let all = async {
        let (mut chunks, mut bytes) = (body.into_data_stream(), Vec::new());
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| StatusCode::BAD_REQUEST)?;
            if bytes.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    timeout(TIMEOUT, all).await.unwrap_or(Err(StatusCode::BAD_REQUEST))
}

fn empty(status: StatusCode) -> Response {
    status.into_response()
}

async fn limit_rate(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let forwarded = request.headers().get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
    let who = format!("{}{}", client(forwarded), request.uri().path());
    let now = shared.started.elapsed();
    let verdict = shared.clients.lock().unwrap_or_else(PoisonError::into_inner).admit(&who, shared.limit, now);
    let mut response = match verdict.retry_after {
        None => next.run(request).await,
        Some(_) => plain(StatusCode::TOO_MANY_REQUESTS, "limit exceeded\n"),
    };
    describe(verdict, shared.limit, response.headers_mut());
    response
}

fn describe(verdict: Verdict, limit: Limit, headers: &mut HeaderMap) {
    let seconds = |duration: Duration| duration.as_millis().div_ceil(1000) as u64;
    headers.insert("x-ratelimit-limit", HeaderValue::from(limit.at_once()));
    headers.insert("x-ratelimit-remaining", HeaderValue::from(verdict.remaining));
    headers.insert("x-ratelimit-reset", HeaderValue::from(seconds(verdict.reset_after)));
    if let Some(wait) = verdict.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds(wait)));
    }
}

async fn measure(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let (path, method) = (request.uri().path().to_owned(), request.method().clone());
    let started = Instant::now();
    let response = next.run(request).await;
    shared.sealing.metrics().count_request(path, &method, response.status(), started.elapsed());
    response
}
