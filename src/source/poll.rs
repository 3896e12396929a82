//! The wait between two polls, the same for repositories and for places with charts.

use std::time::Duration;

use tokio::sync::Notify;

/// Waits until a poll is due; false when the time of it changed meanwhile and has to be asked for again. Without a time there is
/// nothing to poll for until it changes.
pub(super) async fn is_due(wait: Option<Duration>, rescheduled: &Notify) -> bool {
    let elapsed = async {
        match wait {
            Some(wait) => tokio::time::sleep(wait).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = elapsed => true,
        () = rescheduled.notified() => false,
    }
}
