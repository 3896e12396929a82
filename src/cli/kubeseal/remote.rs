//! What only the controller can do: check and re-encrypt, through the API server's proxy.

use kube::core::TypeMeta;

use super::options::Options;
use super::{files, input};
use crate::api::SealedSecret;
use crate::cli::{Context, Failure};
use crate::keys::remote::Controller;

/// Asks the controller whether each SealedSecret opens; stops at the first that does not.
pub async fn validate(options: &Options, cx: &Context) -> Result<(), Failure> {
    let bytes = files::read_input(options.input.as_deref(), "json/yaml k8s resource")?;
    let sealed = input::sealed_secrets(&bytes)?;
    let controller = find(options, cx).await?;
    for sealed in sealed {
        let name = sealed.metadata.name.as_deref().unwrap_or_default();
        match controller.opens(body(&sealed)?).await {
            Ok(true) => {}
            Ok(false) => return Err(Failure::new(format!("unable to decrypt sealed secret: {name}"))),
            Err(error) => return Err(Failure::new(format!("cannot validate sealed secret: {}", reason(&error)))),
        }
    }
    Ok(())
}

/// Has each SealedSecret sealed again. A file given as input is replaced when no output is named.
pub async fn reencrypt(options: &Options, cx: &Context) -> Result<(), Failure> {
    let bytes = files::read_input(options.input.as_deref(), "json/yaml k8s resource")?;
    let sealed = input::sealed_secrets(&bytes)?;
    let controller = find(options, cx).await?;
    let mut renewed = Vec::new();
    for sealed in sealed {
        let answer = controller.reseal(body(&sealed)?).await;
        let answer = answer.map_err(|error| Failure::new(format!("cannot re-encrypt secret: {}", reason(&error))))?;
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

/// Finds the Service, with kubeseal's words when there is none.
async fn find(options: &Options, cx: &Context) -> Result<Controller, Failure> {
    let client = cx.client().await?;
    let found = Controller::find(&client, &options.cluster.controller_namespace, &options.controller_name).await;
    found.map_err(|error| {
        let kube::Error::Api(status) = error else { return cx.explain(&error, "get sealed secret service") };
        let what = format!(
            "cannot get sealed secret service: {}.\nPlease, use the flag --controller-name and --controller-namespace to set up the name and namespace \
             of the sealed secrets controller",
            status.message
        );
        Failure::new(what)
    })
}

fn body(sealed: &SealedSecret) -> Result<String, Failure> {
    let mut object = sealed.clone();
    object.types = Some(TypeMeta::resource::<SealedSecret>());
    serde_json::to_string(&object).map_err(|error| Failure::new("cannot write the object").with_cause(&error))
}

fn reason(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} {}", status.code, status.message),
        other => other.to_string(),
    }
}
