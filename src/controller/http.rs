//! `/healthz`, `/readyz`, `/metrics` and the certificate route that kubeseal knows.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

/// Answers the text of a page when it is asked for.
pub type Page = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// What the pages show.
#[derive(Clone)]
pub struct Pages {
    /// True once the first lists are loaded and there is a sealing key.
    pub ready: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Metrics in the Prometheus text format.
    pub metrics: Page,
    /// PEM of the active sealing certificate; `None` while there is no key.
    pub certificate: Page,
}

/// Serves the pages for ever.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, pages: Pages) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/v1/cert.pem", get(certificate).post(certificate))
        .with_state(pages);
    axum::serve(listener, router).await
}

async fn ready(State(pages): State<Pages>) -> Response {
    if (pages.ready)() {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the first lists and the sealing key are being loaded\n").into_response()
    }
}

async fn metrics(State(pages): State<Pages>) -> Response {
    let text = (pages.metrics)().unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}

async fn certificate(State(pages): State<Pages>) -> Response {
    match (pages.certificate)() {
        Some(pem) => ([(header::CONTENT_TYPE, "application/x-pem-file")], pem).into_response(),
        None => (StatusCode::INTERNAL_SERVER_ERROR, "cannot get certificate\n").into_response(),
    }
}
