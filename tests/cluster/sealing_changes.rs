//! What becomes of opened Secrets when keys, types, labels and immutable Secrets change.

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::sealing::{Bench, MARKER, SOON, key_secret, kubeseal_secret, secret};
use crate::support::eventually;
use crate::support::install::SERVICE_ACCOUNT;

impl Bench {
    fn sealed(&self, name: &str, value: &str) -> Value {
        kubeseal_secret(&self.certificate(), &secret(&self.namespace, name, value), &[])
    }

    pub async fn wait_for_event(&self, reason: &str, beginning: &str) {
        eventually(&format!("event {reason}: {beginning}"), SOON, || async {
            let events = self.events().await;
            let is_it = |event: &&(String, String)| event.0 == reason && event.1.starts_with(beginning);
            if events.iter().any(|event| is_it(&event)) { Ok(()) } else { Err(format!("{events:?}")) }
        })
        .await;
    }

    async fn label_key(&self, name: &str, value: &str) {
        let labels = json!({"metadata": {"labels": {"sealedsecrets.bitnami.com/sealed-secrets-key": value}}});
        self.secrets().patch(name, &PatchParams::default(), &Patch::Merge(labels)).await.unwrap();
    }

    async fn serves(&self, key: &str) {
        let expected = key_secret("", key)["stringData"]["tls.crt"].as_str().unwrap().trim().to_owned();
        eventually(&format!("the certificate {key} to be served"), SOON, || async {
            if self.certificate().trim() == expected { Ok(()) } else { Err("it is another one") }
        })
        .await;
    }
}

#[tokio::test]
async fn an_immutable_secret_stays_and_says_so_until_it_is_deleted() {
    let bench = Bench::start().await;
    let sealed = |value: &str| {
        let mut secret = secret(&bench.namespace, "db", value);
        secret["immutable"] = true.into();
        kubeseal_secret(&bench.certificate(), &secret, &[])
    };
    bench.apply(&sealed("first")).await;
    assert_eq!(bench.value("db", "password", "first").await.immutable, Some(true));
    bench.apply(&sealed(MARKER)).await;
    let condition = bench.condition("db", "False", "field is immutable when `immutable` is set").await;
    assert_eq!(condition["reason"], "UpdateFailed");
    let note = format!("Error updating {}/db: the target Secret is immutable. Once a Secret is marked", bench.namespace.name());
    bench.wait_for_event("ErrUpdateFailed", &note).await;
    bench.value("db", "password", "first").await;
    bench.secrets().delete("db", &DeleteParams::default()).await.unwrap();
    bench.value("db", "password", MARKER).await;
    bench.condition("db", "True", "").await;
}

#[tokio::test]
async fn another_type_is_refused_until_the_secret_is_deleted() {
    let bench = Bench::start().await;
    let mut sealed = bench.sealed("db", MARKER);
    bench.apply(&sealed).await;
    assert_eq!(bench.value("db", "password", MARKER).await.type_.as_deref(), Some("Opaque"));
    sealed["spec"]["template"]["type"] = "kubernetes.io/basic-auth".into();
    bench.apply(&sealed).await;
    bench.condition("db", "False", "field is immutable").await;
    bench.wait_for_event("ErrUpdateFailed", "Secret \"db\" is invalid: type").await;
    bench.secrets().delete("db", &DeleteParams::default()).await.unwrap();
    bench.condition("db", "True", "").await;
    assert_eq!(bench.value("db", "password", MARKER).await.type_.as_deref(), Some("kubernetes.io/basic-auth"));
}

#[tokio::test]
async fn a_key_that_is_relabelled_or_deleted_opens_no_more_without_a_restart() {
    let bench = Bench::start_with(|namespace| vec![key_secret(namespace, "new"), key_secret(namespace, "old")]).await;
    bench.serves("new").await;
    let (early, late, later) = (bench.sealed("early", MARKER), bench.sealed("late", MARKER), bench.sealed("later", MARKER));
    bench.apply(&early).await;
    let opened = bench.value("early", "password", MARKER).await;
    bench.label_key("restored-new", "compromised").await;
    bench.serves("old").await;
    bench.apply(&late).await;
    bench.condition("late", "False", "no key could decrypt secret (password)").await;
    assert_eq!(bench.secrets().get("early").await.unwrap().metadata.resource_version, opened.metadata.resource_version);
    bench.label_key("restored-new", "active").await;
    bench.value("late", "password", MARKER).await;
    bench.secrets().delete("restored-new", &DeleteParams::default()).await.unwrap();
    bench.serves("old").await;
    bench.apply(&later).await;
    bench.condition("later", "False", "no key could decrypt secret (password)").await;
}

#[tokio::test]
async fn a_label_selector_chooses_what_is_opened_and_does_not_stop_healing() {
    let mut bench = Bench::start().await;
    bench.restart_with(|options| options.label_selector = Some("team=a".to_owned())).await;
    bench.apply(&bench.sealed("other", MARKER)).await;
    let mut ours = bench.sealed("ours", MARKER);
    ours["metadata"]["labels"] = json!({"team": "a"});
    bench.apply(&ours).await;
    let first = bench.value("ours", "password", MARKER).await;
    assert_eq!(first.metadata.labels.unwrap_or_default().get("team"), None, "labels of the SealedSecret are not copied");
    bench.condition("ours", "True", "").await;
    bench.secrets().delete("ours", &DeleteParams::default()).await.unwrap();
    bench.value("ours", "password", MARKER).await;
    assert!(bench.secrets().get_opt("other").await.unwrap().is_none());
    assert!(bench.sealed_secrets().get("other").await.unwrap().data.get("status").is_none());
}

#[tokio::test]
async fn a_secret_deleted_while_nobody_watched_comes_back() {
    let mut bench = Bench::start().await;
    bench.apply(&bench.sealed("db", MARKER)).await;
    bench.condition("db", "True", "").await;
    bench.stop();
    bench.secrets().delete("db", &DeleteParams::default()).await.unwrap();
    bench.restart().await;
    bench.value("db", "password", MARKER).await;
}

/// The schema refuses such objects, but one may be stored from before there was a schema.
#[tokio::test]
async fn an_object_that_cannot_be_opened_does_not_stall_the_others() {
    let bench = Bench::start().await;
    let mut strange = bench.sealed("strange", MARKER);
    strange["spec"]["encryptedData"] = json!({"empty": "", "short": "AgA="});
    bench.apply(&strange).await;
    bench.condition("strange", "False", "no key could decrypt secret (empty, short)").await;
    // Only now: otherwise it might have been opened first.
    bench.apply(&bench.sealed("good", MARKER)).await;
    bench.value("good", "password", MARKER).await;
}

#[tokio::test]
async fn opening_a_stock_takes_a_secret_a_status_and_an_event_each_and_reads_none() {
    let mut bench = Bench::start().await;
    bench.stop();
    let stock: Vec<String> = (0..12).map(|number| format!("old-{number}")).collect();
    for name in &stock {
        bench.apply(&bench.sealed(name, MARKER)).await;
    }
    let mark = bench.cluster.audit().mark().await;
    bench.restart().await;
    eventually("an Event about each", SOON, || async {
        let count = bench.events().await.into_iter().filter(|(reason, _)| reason == "Unsealed").count();
        if count == stock.len() { Ok(()) } else { Err(format!("{count} of {}", stock.len())) }
    })
    .await;
    let user = format!("system:serviceaccount:{}:{SERVICE_ACCOUNT}", bench.namespace.name());
    let requests = bench.cluster.audit().of_user_since(&user, mark).await;
    let count = |verb: &str, resource: &str, subresource: &str| {
        let of_kind =
            requests.iter().filter(|one| one.verb == verb && one.resource == resource && one.subresource == subresource);
        // A request that is refused or repeated would count twice.
        of_kind.filter(|one| one.stage == "ResponseComplete").count()
    };
    let writes = (count("create", "secrets", ""), count("patch", "sealedsecrets", "status"), count("create", "events", ""));
    // One more Event: the key is in no backup.
    assert_eq!(writes, (12, 12, 13), "{requests:?}");
    let read: Vec<_> = requests.iter().filter(|one| one.verb == "get" && stock.contains(&one.name)).collect();
    assert!(read.is_empty(), "{read:?}");
}
