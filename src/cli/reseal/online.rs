//! Resealing by the controller: plaintext never leaves the cluster.

use std::path::PathBuf;

use serde_json::Value;

use super::{Content, FileOutcome, ResealArgs, unreadable};
use crate::api::SealedSecret;
use crate::cli::secrets::sealed::{Found, with_items};
use crate::cli::{Context, Failure};
use crate::keys::remote::Controller;

/// Works through the files, one request for each object. The controller limits the rate.
pub async fn all(files: &[PathBuf], args: &ResealArgs, cx: &Context) -> Result<Vec<FileOutcome>, Failure> {
    let client = cx.client().await?;
    let controller = Controller::find(&client, &cx.flags.controller_namespace, &args.controller_name).await;
    let controller = controller.map_err(|error| cx.explain(&error, "find the sealing controller"))?;
    let mut outcomes = Vec::new();
    for path in files {
        match Content::read(path) {
            Ok(None) => {}
            Err(failure) => outcomes.push(unreadable(path, failure)),
            Ok(Some(content)) => {
                let mut results = Vec::new();
                for found in &content.found {
                    results.push(object(found, &content.json(found), &controller, cx).await);
                }
                outcomes.push(content.conclude(results));
            }
        }
    }
    Ok(outcomes)
}

/// Only the items are taken from the answer: the controller of Sealed Secrets loses parts of the rest.
async fn object(found: &Found, json: &Value, controller: &Controller, cx: &Context) -> Result<Option<Value>, Failure> {
    if found.sealed.spec.data.is_some() {
        return Err(Failure::new("the deprecated format can only be resealed offline").with_hint("--key BACKUP"));
    }
    let answer = controller.reseal(json.to_string()).await.map_err(|error| refused(&error, cx))?;
    let answer: SealedSecret = serde_json::from_str(&answer)
        .map_err(|error| Failure::new("the controller's answer is not a SealedSecret").with_cause(&error))?;
    let (old, new) = (&found.sealed.spec.encrypted_data, &answer.spec.encrypted_data);
    if !old.keys().eq(new.keys()) {
        return Err(Failure::new("the controller answered with other items than it was sent"));
    }
    let changed: Vec<_> = new.iter().filter(|(key, item)| old.get(*key) != Some(item)).collect();
    Ok(if changed.is_empty() { None } else { Some(with_items(json, changed)) })
}

fn refused(error: &kube::Error, cx: &Context) -> Failure {
    match error {
        kube::Error::Api(status) if status.code == 404 => Failure::new("the controller has no /v1/rotate"),
        kube::Error::Api(status) if matches!(status.code, 409 | 500) => {
            Failure::new("the controller cannot open it").with_hint("kubectl gitops explain FILE --key BACKUP")
        }
        other => cx.explain(other, "reseal"),
    }
}
