//! The controller's HTTP server: probes, metrics, the routes that kubeseal knows, and webhooks.

mod rate_limit;
mod request;
mod sealing;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use tokio::net::TcpListener;

pub use self::rate_limit::Limit;
use super::sealedsecret::SealingContext;

/// Answers the text of a page when it is asked for.
pub type Page = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// What the pages show.
#[derive(Clone)]
pub struct Pages {
    /// True once the first lists are loaded and there is a sealing key.
    pub ready: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Metrics in the Prometheus text format.
    pub metrics: Page,
}

/// Serves the pages for ever.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    pages: Pages,
    sealing: Arc<SealingContext>,
    limit: Limit,
    webhooks: Router,
) -> std::io::Result<()> {
    axum::serve(listener, router(pages, sealing, limit).merge(webhooks)).await
}

/// No route looks at the method: upstream's do not, and kubeseal's habits are its own.
fn router(pages: Pages, sealing: Arc<SealingContext>, limit: Limit) -> Router {
    Router::new()
        .route("/healthz", any(async || "ok\n"))
        .route("/readyz", any(ready))
        .route("/metrics", any(metrics))
        .with_state(pages)
        .merge(sealing::routes(sealing, limit))
        .fallback(async || plain(StatusCode::NOT_FOUND, "404 page not found\n"))
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

/// An error as Go's standard library writes it: text that no browser takes for something else.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, [(header::X_CONTENT_TYPE_OPTIONS, "nosniff")], text).into_response()
}
