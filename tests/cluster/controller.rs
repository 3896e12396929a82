//! The controller as a process: ready under the shipped rights, and again after it was killed.

use crate::support::{Cluster, ControllerProcess};

#[tokio::test]
async fn ready_under_the_shipped_rights_and_after_a_kill() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("controller").await;
    let mut controller = ControllerProcess::start(&cluster, &namespace, &[]).await;
    controller.wait_ready().await;
    assert_eq!(controller.get("/healthz").await.0, 200);
    controller.process().kill_9();
    assert_eq!(controller.get("/healthz").await.0, 0, "nobody answers");
    controller.restart();
    controller.wait_ready().await;
    assert!(!controller.log().contains("forbidden"), "{}", controller.log());
}
