//! Who asked the API server for what: counting requests instead of guessing.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use serde::Deserialize;

use super::cluster::Cluster;
use super::eventually::eventually;

/// One answered request. Fields that do not apply, such as the namespace of a cluster-scoped object, are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Who asked, e.g. `system:serviceaccount:argocd:gitops-controller`.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, or an HTTP method for other paths.
    pub verb: String,
    /// `ResponseStarted` for the begin of a long-running request, else `ResponseComplete` or `Panic`.
    pub stage: String,
    /// API group, empty for the core group.
    pub group: String,
    /// Plural name of the kind.
    pub resource: String,
    /// `status`, `token`, ...
    pub subresource: String,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// Path and query of the request.
    pub uri: String,
    /// Status code of the answer.
    pub code: u16,
}

/// A place in the audit log.
#[derive(Debug, Clone, Copy)]
pub struct Mark(u64);

/// A reader of the plane's audit log.
#[derive(Debug, Clone)]
pub struct Audit {
    cluster: Cluster,
}

impl Audit {
    pub(super) const fn of(cluster: Cluster) -> Self {
        Self { cluster }
    }

    /// Remembers this moment: requests answered before it do not count.
    pub async fn mark(&self) -> Mark {
        let (_, end) = self.read_up_to_fence(Mark(0)).await;
        end
    }

    /// Returns the requests answered since the mark, in the order they were answered. Long-running ones such as watches appear
    /// twice, when they start (code 200) and when they end.
    pub async fn since(&self, mark: Mark) -> Vec<AuditEntry> {
        let (entries, _) = self.read_up_to_fence(mark).await;
        entries
    }

    /// Returns the requests of one user since the mark.
    pub async fn of_user_since(&self, user: &str, mark: Mark) -> Vec<AuditEntry> {
        let mut entries = self.since(mark).await;
        entries.retain(|entry| entry.user == user);
        entries
    }

    /// An answer may reach its client before its line reaches the log. A request of our own, recognised by its query, is the fence:
    /// when its line is there, so are those of the requests that were answered before it was sent.
    async fn read_up_to_fence(&self, mark: Mark) -> (Vec<AuditEntry>, Mark) {
        let fence = format!("/version?fence={:016x}", rand::random::<u64>());
        let request = http::Request::get(&fence).body(Vec::new()).expect("the path is well-formed");
        self.cluster.admin().await.request_text(request).await.expect("the API server tells its version");
        eventually("the audit log to show our own request", Duration::from_secs(10), || async {
            let text = self.read_from(mark).map_err(|cause| cause.to_string())?;
            let at = text.find(&fence).ok_or("its line is not there yet")?;
            let length = text[at..].find('\n').ok_or("its line is not complete yet")? + at + 1;
            let lines = text[..length].lines().filter(|line| !line.contains("/version?fence="));
            Ok::<_, String>((lines.filter_map(parse).collect(), Mark(mark.0 + length as u64)))
        })
        .await
    }

    fn read_from(&self, mark: Mark) -> std::io::Result<String> {
        let mut file = File::open(self.cluster.audit_log())?;
        file.seek(SeekFrom::Start(mark.0))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The part of an `audit.k8s.io/v1` Event that we read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    stage: String,
    user: User,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: Status,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
    api_group: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
}

fn parse(line: &str) -> Option<AuditEntry> {
    let event: Event = serde_json::from_str(line).ok()?;
    let ObjectRef { resource, subresource, namespace, name, api_group } = event.object_ref;
    Some(AuditEntry {
        user: event.user.username,
        verb: event.verb,
        stage: event.stage,
        group: api_group,
        resource,
        subresource,
        namespace,
        name,
        uri: event.request_uri,
        code: event.response_status.code,
    })
}
