//! One maker of keys at a time: without it, two controllers that start in an empty cluster would each make one.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, PostParams};
use kube::core::ObjectMeta;
use kube::{Client, Error};

/// Name of the Lease in the control namespace.
const LEASE: &str = "gitops-sealing-key-maker";
/// How long a claim holds when its holder dies; making a key takes seconds.
const CLAIM_SECONDS: i32 = 60;

/// The right to make a key, until it is given back or its time is over.
pub struct Claim {
    api: Api<Lease>,
    lease: Lease,
}

/// Takes the right to make a key; none while somebody else has it. With `dry_run` the API server only checks whether it may be taken.
///
/// # Errors
/// When the API server refuses or cannot be reached.
pub async fn claim(
    client: &Client,
    namespace: &str,
    holder: &str,
    now: Timestamp,
    dry_run: bool,
) -> Result<Option<Claim>, Error> {
    let parameters = PostParams { dry_run, ..PostParams::default() };
    let api: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let present = api.get_opt(LEASE).await?;
    if present.as_ref().and_then(|lease| lease.spec.as_ref()).is_some_and(|spec| is_held(spec, now)) {
        return Ok(None);
    }
    let spec = LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        lease_duration_seconds: Some(CLAIM_SECONDS),
        acquire_time: Some(MicroTime(now)),
        renew_time: Some(MicroTime(now)),
        ..LeaseSpec::default()
    };
    let taken = match present {
        Some(lease) => api.replace(LEASE, &parameters, &Lease { spec: Some(spec), ..lease }).await,
        None => {
            let metadata = ObjectMeta { name: Some(LEASE.into()), ..ObjectMeta::default() };
            api.create(&parameters, &Lease { metadata, spec: Some(spec) }).await
        }
    };
    match taken {
        Ok(lease) => Ok(Some(Claim { api, lease })),
        // Somebody was faster.
        Err(Error::Api(status)) if status.code == 409 => Ok(None),
        Err(error) => Err(error),
    }
}

impl Claim {
    /// Gives the right back. When that fails, it ends by itself.
    pub async fn release(self) {
        let released = Lease { spec: Some(LeaseSpec::default()), ..self.lease };
        if let Err(error) = self.api.replace(LEASE, &PostParams::default(), &released).await {
            tracing::debug!(%error, "cannot give back the right to make sealing keys");
        }
    }
}

fn is_held(spec: &LeaseSpec, now: Timestamp) -> bool {
    let holds = spec.holder_identity.as_ref().is_some_and(|holder| !holder.is_empty());
    let length = SignedDuration::from_secs(i64::from(spec.lease_duration_seconds.unwrap_or(CLAIM_SECONDS)));
    holds && spec.renew_time.as_ref().is_some_and(|renewed| now.duration_since(renewed.0) < length)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_claim_ends_with_its_time_or_its_holder() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut spec = LeaseSpec {
            holder_identity: Some("a".into()),
            lease_duration_seconds: Some(60),
            renew_time: Some(MicroTime(at("2026-01-01T00:00:00Z"))),
            ..LeaseSpec::default()
        };
        assert!(is_held(&spec, at("2026-01-01T00:00:59Z")));
        assert!(!is_held(&spec, at("2026-01-01T00:01:00Z")));
        spec.holder_identity = Some(String::new());
        assert!(!is_held(&spec, at("2026-01-01T00:00:01Z")));
    }
}
