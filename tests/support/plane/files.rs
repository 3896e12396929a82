//! The files that the plane's programs read: certificates, users, kubeconfigs, the audit policy.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kubectl_gitops::cli::Failure;

use super::{Layout, pki};

/// Users and their groups. A user per program, so that the audit log tells whose request it was. The roles of the two system
/// users are created by the API server; the other two act for the machine's owner.
const USERS: [(&str, &str, &str); 4] = [
    ("kubeconfig", "admin", "system:masters"),
    ("kwok.kubeconfig", "kwok", "system:masters"),
    ("kube-controller-manager.kubeconfig", "system:kube-controller-manager", ""),
    ("kube-scheduler.kubeconfig", "system:kube-scheduler", ""),
];

/// Who, what and with which answer, once per request.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
";

/// Writes everything into the plane's folder.
///
/// # Errors
/// When a file cannot be written.
pub fn write(layout: &Layout, api_port: u16) -> Result<(), Failure> {
    for folder in [layout.dir.join("logs"), layout.dir.join("pki"), layout.data.clone()] {
        fs::create_dir_all(&folder).map_err(|cause| cannot_write(&folder, &cause))?;
    }
    let authority = pki::write(layout)?;
    save(&layout.file("audit-policy.yaml"), AUDIT_POLICY)?;
    let server = format!("https://127.0.0.1:{api_port}");
    let mut tokens = String::new();
    for (file, user, group) in USERS {
        let token = format!("{:032x}", rand::random::<u128>());
        tokens.push_str(&format!("{token},{user},{user},\"{group}\"\n"));
        save(&layout.file(file), &kubeconfig(&server, &authority, user, &token))?;
    }
    save(&layout.file("tokens.csv"), &tokens)
}

/// A kubeconfig that needs no other file.
pub fn kubeconfig(server: &str, authority_pem: &str, user: &str, token: &str) -> String {
    let authority = STANDARD.encode(authority_pem);
    format!(
        "\
apiVersion: v1
kind: Config
clusters:
  - name: local
    cluster:
      server: {server}
      certificate-authority-data: {authority}
users:
  - name: {user}
    user:
      token: {token}
contexts:
  - name: local
    context: {{cluster: local, user: {user}}}
current-context: local
"
    )
}

/// Writes a text file.
///
/// # Errors
/// When it cannot be written.
pub fn save(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|cause| cannot_write(path, &cause))
}

fn cannot_write(path: &Path, cause: &std::io::Error) -> Failure {
    Failure::new(format!("cannot write {}", path.display())).with_cause(cause)
}
