//! What a sealing controller answers through the API server's proxy, to us and to `kubeseal` alike.
//!
//! It limits how often one client may ask, by default two requests a second. kubeseal's client library waits and asks again,
//! and so must every other client.

use std::time::Duration;

use http::Request;
use k8s_openapi::api::core::v1::Service;
use kube::api::Api;
use kube::{Client, Error};

/// Attempts while the controller says that it is asked too often.
const ATTEMPTS: u32 = 20;
/// Wait in between; with the usual limit two requests pass in it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The Service of a sealing controller, found once and asked many times.
#[derive(Clone)]
pub struct Controller {
    client: Client,
    proxy: String,
    patience: Duration,
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Controller({})", self.proxy)
    }
}

impl Controller {
    /// Finds the Service; its first port counts, as for kubeseal.
    ///
    /// # Errors
    /// When there is no such Service, or the API server refuses or cannot be reached.
    pub async fn find(client: &Client, namespace: &str, service: &str) -> Result<Self, Error> {
        let api: Api<Service> = Api::namespaced(client.clone(), namespace);
        let ports = api.get(service).await?.spec.and_then(|spec| spec.ports).unwrap_or_default();
        let port = ports.into_iter().next().and_then(|port| port.name).unwrap_or_default();
        let proxy = format!("/api/v1/namespaces/{namespace}/services/http:{service}:{port}/proxy");
        Ok(Self { client: client.clone(), proxy, patience: PATIENCE })
    }

    /// Asks whether the controller can open a SealedSecret (JSON).
    ///
    /// # Errors
    /// When it cannot be reached or answers something else; that is no answer to the question.
    pub async fn opens(&self, sealed: String) -> Result<bool, Error> {
        match self.post("/v1/verify", sealed).await {
            Ok(_) => Ok(true),
            Err(Error::Api(status)) if status.code == 409 => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Has a SealedSecret (JSON) sealed again for the newest key; no plaintext leaves the cluster. Gives the answer's JSON.
    ///
    /// # Errors
    /// When it cannot be reached or cannot open the object.
    pub async fn reseal(&self, sealed: String) -> Result<String, Error> {
        self.post("/v1/rotate", sealed).await
    }

    /// Posts, and waits when the controller or the API server asks for patience; after [`ATTEMPTS`] its refusal is the answer.
    async fn post(&self, route: &str, body: String) -> Result<String, Error> {
        let mut attempt = 1;
        loop {
            let request = Request::post(format!("{}{route}", self.proxy)).header("Content-Type", "application/json");
            let request = request.body(body.clone().into_bytes()).map_err(Error::HttpError)?;
            match self.client.request_text(request).await {
                Err(Error::Api(status)) if status.code == 429 && attempt < ATTEMPTS => tokio::time::sleep(self.patience).await,
                answer => return answer,
            }
            attempt += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;

    /// A controller that refuses some requests before it answers, and how often it was asked.
    fn controller(refusals: u32) -> (Controller, Arc<AtomicU32>) {
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let answer = tower::service_fn(move |_: Request<kube::client::Body>| {
            let is_refused = count.fetch_add(1, Relaxed) < refusals;
            let (code, text) = if is_refused { (429, "limit exceeded\n") } else { (200, "") };
            let body = kube::client::Body::from(text.as_bytes().to_vec());
            async move { Ok::<_, std::convert::Infallible>(http::Response::builder().status(code).body(body).unwrap()) }
        });
        let client = Client::new(answer, "default");
        (Controller { client, proxy: String::new(), patience: Duration::ZERO }, asked)
    }

    #[tokio::test]
    async fn a_controller_that_limits_the_rate_is_asked_again_but_not_for_ever() {
        let (patient, asked) = controller(3);
        assert!(patient.opens("{}".to_owned()).await.unwrap());
        assert_eq!(asked.load(Relaxed), 4);
        let (busy, asked) = controller(u32::MAX);
        let refused = busy.opens("{}".to_owned()).await.unwrap_err();
        assert!(matches!(&refused, Error::Api(status) if status.code == 429), "{refused}");
        assert_eq!(asked.load(Relaxed), ATTEMPTS);
    }
}
