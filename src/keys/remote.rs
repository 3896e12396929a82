//! What a sealing controller answers through the API server's proxy, to us and to `kubeseal` alike.

use http::Request;
use k8s_openapi::api::core::v1::Service;
use kube::api::Api;
use kube::{Client, Error};

/// The Service of a sealing controller, found once and asked many times.
#[derive(Clone)]
pub struct Controller {
    client: Client,
    proxy: String,
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
        Ok(Self { client: client.clone(), proxy })
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

    async fn post(&self, route: &str, body: String) -> Result<String, Error> {
        let request = Request::post(format!("{}{route}", self.proxy)).header("Content-Type", "application/json");
        self.client.request_text(request.body(body.into_bytes()).map_err(Error::HttpError)?).await
    }
}
