//! What only the controller can do: check and re-encrypt, through the API server's proxy.

use std::time::Duration;

use http::Request;
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::core::TypeMeta;

use super::options::Options;
use super::{files, input};
use crate::api::SealedSecret;
use crate::cli::{Context, Failure};

/// Attempts against a controller that says it is asked too often.
const ATTEMPTS: u32 = 20;
/// Wait in between; a controller with the usual limit lets two requests pass in a second.
const PATIENCE: Duration = Duration::from_secs(1);

/// A controller behind the API server's proxy.
struct Controller {
    client: kube::Client,
    path: String,
}

/// Asks the controller whether each SealedSecret opens; stops at the first that does not.
pub async fn validate(options: &Options, cx: &Context) -> Result<(), Failure> {
    let bytes = files::read_input(options.input.as_deref(), "json/yaml k8s resource")?;
    let sealed = input::sealed_secrets(&bytes)?;
    let controller = Controller::find(options, cx).await?;
    for sealed in sealed {
        let name = sealed.metadata.name.as_deref().unwrap_or_default();
        match controller.post("verify", &sealed).await {
            Ok(_) => {}
            Err(Refusal::Status { code: 409, .. }) => {
                return Err(Failure::new(format!("unable to decrypt sealed secret: {name}")));
            }
            Err(other) => return Err(Failure::new(format!("cannot validate sealed secret: {other}"))),
        }
    }
    Ok(())
}

/// Has each SealedSecret sealed again. A file given as input is replaced when no output is named.
pub async fn reencrypt(options: &Options, cx: &Context) -> Result<(), Failure> {
    let bytes = files::read_input(options.input.as_deref(), "json/yaml k8s resource")?;
    let sealed = input::sealed_secrets(&bytes)?;
    let controller = Controller::find(options, cx).await?;
    let mut renewed = Vec::new();
    for sealed in sealed {
        let answer = controller.post("rotate", &sealed).await;
        let answer = answer.map_err(|refusal| Failure::new(format!("cannot re-encrypt secret: {refusal}")))?;
        let mut object: SealedSecret = serde_json::from_str(&answer)
            .map_err(|_| Failure::new("cannot re-encrypt secret: the controller's answer is not a SealedSecret"))?;
        object.types = Some(TypeMeta::resource::<SealedSecret>());
        object.metadata.creation_timestamp = None;
        object.metadata.deletion_timestamp = None;
        object.metadata.generation = None;
        renewed.push(serde_json::to_value(&object).unwrap_or_default());
    }
    let output = options.output.as_deref().or(options.input.as_deref());
    let format = output.and_then(crate::cli::seal::Format::of_file).unwrap_or(options.format);
    files::put(output, &files::render(&renewed, format))
}

/// Why the controller did not do it.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{code} {message}")]
    Status { code: u16, message: String },
    #[error("{0}")]
    Unreachable(String),
}

impl Controller {
    /// Finds the Service, whose first port's name is part of the proxy's address.
    async fn find(options: &Options, cx: &Context) -> Result<Self, Failure> {
        let client = cx.client().await?;
        let (namespace, name) = (&options.cluster.controller_namespace, &options.controller_name);
        let services: Api<Service> = Api::namespaced(client.clone(), namespace);
        let service = services.get(name).await.map_err(|error| {
            let kube::Error::Api(status) = error else { return cx.explain(&error, "get sealed secret service") };
            let what = format!(
                "cannot get sealed secret service: {}.\nPlease, use the flag --controller-name and --controller-namespace to set up the name and namespace \
                 of the sealed secrets controller",
                status.message
            );
            Failure::new(what)
        })?;
        let ports = service.spec.and_then(|spec| spec.ports).unwrap_or_default();
        let port = ports.into_iter().next().and_then(|port| port.name).unwrap_or_default();
        Ok(Self { client, path: format!("/api/v1/namespaces/{namespace}/services/http:{name}:{port}/proxy/v1") })
    }

    /// Posts one object, and waits when the controller or the API server asks for patience.
    async fn post(&self, route: &str, sealed: &SealedSecret) -> Result<String, Refusal> {
        let mut object = sealed.clone();
        object.types = Some(TypeMeta::resource::<SealedSecret>());
        let body = serde_json::to_vec(&object).map_err(|error| Refusal::Unreachable(error.to_string()))?;
        for _ in 0..ATTEMPTS {
            let request = Request::post(format!("{}/{route}", self.path)).header("Content-Type", "application/json");
            let request = request.body(body.clone()).map_err(|error| Refusal::Unreachable(error.to_string()))?;
            match self.client.request_text(request).await {
                Ok(text) => return Ok(text),
                Err(kube::Error::Api(status)) if status.code == 429 => tokio::time::sleep(PATIENCE).await,
                Err(kube::Error::Api(status)) => return Err(Refusal::Status { code: status.code, message: status.message }),
                Err(error) => return Err(Refusal::Unreachable(error.to_string())),
            }
        }
        Err(Refusal::Unreachable("the controller is asked too often".to_owned()))
    }
}
