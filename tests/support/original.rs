//! The Sealed Secrets controller of the pinned version, as a process.
//!
//! It accepts nothing but the configuration of a pod: two variables, and token and authority in a fixed folder. So it runs in a
//! mount namespace of its own, in which that folder exists; that takes no rights where users may make user namespaces.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::cluster::Cluster;
use super::eventually::eventually;
use super::http;
use super::install::{SERVICE_ACCOUNT, install};
use super::ports::free_port;
use super::process::Process;
use super::tools::tools;

/// Puts the folder where the client library looks, then becomes the program.
const IN_A_POD: &str = r#"
mount -t tmpfs tmpfs /run || exit 90
mkdir -p /run/secrets/kubernetes.io/serviceaccount
cp "$ACCOUNT"/* /run/secrets/kubernetes.io/serviceaccount/
exec "$@"
"#;

/// A running original; killed on drop.
#[derive(Debug)]
pub struct OriginalController {
    process: Process,
    _folder: TempDir,
}

impl OriginalController {
    /// Starts it for one namespace, where its keys are too, and waits until it answers on `address`.
    ///
    /// # Panics
    /// When it does not within half a minute, with its log.
    pub async fn start(cluster: &Cluster, namespace: &str, address: &str) -> Self {
        install(cluster, namespace).await;
        let kubeconfig = cluster.kubeconfig_for_service_account(namespace, SERVICE_ACCOUNT).await;
        let folder = TempDir::with_prefix("sealed-secrets-").expect("a temporary folder can be made");
        let account = folder.path().join("account");
        fs::create_dir(&account).expect("the folder is writable");
        fs::write(account.join("token"), token(&kubeconfig)).expect("the folder is writable");
        fs::write(account.join("ca.crt"), cluster.authority()).expect("the folder is writable");
        fs::write(account.join("namespace"), namespace).expect("the folder is writable");
        let server = cluster.server();
        let (host, port) = server.trim_start_matches("https://").rsplit_once(':').expect("the server's address has a port");
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", IN_A_POD, "sh"])
            .arg(tools().sealed_secrets_controller());
        command.args(["--all-namespaces=false", "--key-renew-period=0"]);
        command.arg(format!("--listen-addr={address}")).arg(format!("--listen-metrics-addr=127.0.0.1:{}", free_port()));
        command.env("ACCOUNT", &account).env("POD_NAMESPACE", namespace);
        command.env("KUBERNETES_SERVICE_HOST", host).env("KUBERNETES_SERVICE_PORT", port);
        let process = Process::spawn(command, &folder.path().join("log"));
        let started = Self { process, _folder: folder };
        eventually("the original controller to answer", Duration::from_secs(30), || async {
            match http::get(address, "/v1/cert.pem").await {
                Ok((200, _)) => Ok(()),
                other => Err(format!("{other:?}\n{}", started.process.log())),
            }
        })
        .await;
        started
    }
}

fn token(kubeconfig: &Path) -> String {
    let content = fs::read_to_string(kubeconfig).expect("the kubeconfig was just written");
    let line = content.lines().find_map(|line| line.trim().strip_prefix("token: ")).expect("it holds a token");
    line.trim_matches('"').to_owned()
}
