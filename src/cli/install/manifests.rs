//! What an installation consists of: the manifests of `deploy/`, which are built into the program, chosen by profile. Pure.

use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde_json::{Value, json};

use crate::api::crd;
use crate::resource::{Object, yaml};

const NAMESPACE: &str = include_str!("../../../deploy/namespace.yaml");
const RIGHTS: &str = include_str!("../../../deploy/rbac.yaml");
const DEPLOYING: &str = include_str!("../../../deploy/rbac-deploy.yaml");
const SERVICES: &str = include_str!("../../../deploy/services.yaml");
const DEPLOYMENT: &str = include_str!("../../../deploy/deployment.yaml");

/// The control namespace of the shipped manifests.
const SHIPPED_NAMESPACE: &str = "argocd";
const RBAC: &str = "rbac.authorization.k8s.io";

/// How much the controller may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Applications and SealedSecrets, in every namespace
    #[default]
    Full,
    /// SealedSecrets in every namespace, and no right to deploy anything
    SealOnly,
    /// SealedSecrets of the control namespace only: no ClusterRole, and the CustomResourceDefinitions must exist
    Namespaced,
}

impl Profile {
    /// The names of all profiles, with what they mean.
    pub fn names() -> Vec<PossibleValue> {
        Self::value_variants().iter().filter_map(ValueEnum::to_possible_value).collect()
    }

    /// The profile of one of these names.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::from_str(name, false).unwrap_or_default()
    }
}

/// What shall be installed.
#[derive(Debug, Clone)]
pub struct Choice {
    /// How much the controller may do.
    pub profile: Profile,
    /// The control namespace.
    pub namespace: String,
    /// The controller's image, instead of the one in `deploy/`.
    pub image: Option<String>,
}

/// The objects of an installation, in the order in which they have to exist.
#[must_use]
pub fn manifests(choice: &Choice) -> Vec<Object> {
    let shipped = match choice.profile {
        Profile::Full => [shared(), parse(RIGHTS), parse(DEPLOYING), parse(SERVICES), parse(DEPLOYMENT)].concat(),
        Profile::SealOnly => [shared(), parse(RIGHTS), parse(SERVICES), parse(DEPLOYMENT)].concat(),
        Profile::Namespaced => namespaced(),
    };
    shipped.into_iter().map(|object| adapt(object, choice)).filter_map(|value| Object::from_value(value).ok()).collect()
}

/// Everything that any profile may have installed, for taking it away again.
#[must_use]
pub fn all_profiles(namespace: &str) -> Vec<Object> {
    let of = |profile| manifests(&Choice { profile, namespace: namespace.to_owned(), image: None });
    let mut objects = of(Profile::Full);
    let more = of(Profile::Namespaced).into_iter().filter(|object| objects.iter().all(|known| known.key() != object.key()));
    let more: Vec<Object> = more.collect();
    objects.extend(more);
    objects
}

/// What an administrator of the cluster owns.
fn shared() -> Vec<Value> {
    [parse(NAMESPACE), crd::all()].concat()
}

fn parse(text: &str) -> Vec<Value> {
    let documents = yaml::parse_stream(text).expect("a test reads every manifest that is built in");
    documents.into_iter().map(|document| document.value).collect()
}

/// The same rights within one namespace: each ClusterRole becomes a Role.
fn namespaced() -> Vec<Value> {
    let mut objects: Vec<Value> = parse(RIGHTS).into_iter().map(into_namespace).collect();
    let mut deployments = parse(DEPLOYMENT);
    for deployment in &mut deployments {
        if let Some(args) = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array_mut() {
            args.push(json!("--all-namespaces=false"));
            // Sealing keys are not looked for in kube-system, which this account may not read.
            args.push(json!("--key-namespace="));
        }
    }
    objects.extend(parse(SERVICES));
    objects.extend(deployments);
    objects
}

fn into_namespace(mut object: Value) -> Value {
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    if let Some(kind) = kind.strip_prefix("Cluster") {
        object["kind"] = json!(kind);
        object["metadata"]["namespace"] = json!(SHIPPED_NAMESPACE);
        if kind == "RoleBinding" {
            object["roleRef"]["kind"] = json!("Role");
        }
    }
    // A Role cannot speak of what is in no namespace.
    if let Some(rules) = object.get_mut("rules").and_then(Value::as_array_mut) {
        rules.retain(|rule| rule["resources"] != json!(["namespaces"]));
    }
    object
}

/// Puts a manifest into the chosen control namespace, and names the chosen image.
fn adapt(mut object: Value, choice: &Choice) -> Value {
    if object["kind"] == "Deployment"
        && let Some(image) = &choice.image
    {
        object["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    }
    if choice.namespace == SHIPPED_NAMESPACE {
        return object;
    }
    let rename = |place: &mut Value| {
        if place["namespace"] == SHIPPED_NAMESPACE {
            place["namespace"] = json!(choice.namespace);
        }
    };
    rename(&mut object["metadata"]);
    object.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten().for_each(rename);
    match object["kind"].as_str() {
        Some("Namespace") => object["metadata"]["name"] = json!(choice.namespace),
        // Of its own, so that two control namespaces do not take the binding from each other.
        Some("ClusterRoleBinding") => {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            object["metadata"]["name"] = json!(format!("{name}-{}", choice.namespace));
        }
        _ => {}
    }
    object
}

/// True for the objects that decide who may do what.
#[must_use]
pub fn is_right(object: &Object) -> bool {
    object.group() == RBAC
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(profile: Profile, namespace: &str) -> Vec<Object> {
        manifests(&Choice { profile, namespace: namespace.into(), image: None })
    }

    fn names(objects: &[Object]) -> Vec<String> {
        objects.iter().map(|object| object.key().to_string()).collect()
    }

    #[test]
    fn nothing_is_left_in_the_shipped_namespace() {
        for profile in [Profile::Full, Profile::SealOnly, Profile::Namespaced] {
            for object in of(profile, "team") {
                // The CRDs' descriptions and labels speak of Argo CD; names and references must not.
                let text = object.to_value().to_string();
                assert!(!text.contains("\"namespace\":\"argocd\""), "{} {text}", object.key());
            }
        }
        assert!(names(&of(Profile::Full, "team")).contains(&format!("{RBAC}/ClusterRoleBinding gitops-controller-sealing-team")));
    }

    #[test]
    fn sealing_alone_brings_no_right_to_deploy() {
        let names = names(&of(Profile::SealOnly, "argocd"));
        assert!(names.iter().any(|name| name.ends_with("gitops-controller-sealing")), "{names:?}");
        assert!(names.iter().all(|name| !name.contains("-deploy")), "{names:?}");
    }

    #[test]
    fn the_namespaced_profile_is_all_in_its_namespace() {
        let objects = of(Profile::Namespaced, "team");
        assert!(objects.iter().all(|object| object.namespace() == "team"), "{:?}", names(&objects));
        let rules = objects.iter().filter_map(|object| object.get(&["rules"])).map(Value::to_string).collect::<String>();
        assert!(rules.contains("sealedsecrets") && !rules.contains("\"namespaces\""), "{rules}");
    }

    #[test]
    fn the_image_can_be_chosen() {
        let choice = Choice { profile: Profile::Full, namespace: "argocd".into(), image: Some("r.example/c:1".into()) };
        let found = manifests(&choice).into_iter().find(|object| object.kind() == "Deployment");
        let text = found.map(|object| object.to_value().to_string()).unwrap_or_default();
        assert!(text.contains("\"image\":\"r.example/c:1\""), "{text}");
    }

    #[test]
    fn taking_away_knows_what_any_profile_brought() {
        let all = names(&all_profiles("team"));
        for profile in [Profile::Full, Profile::SealOnly, Profile::Namespaced] {
            assert!(names(&of(profile, "team")).iter().all(|name| all.contains(name)), "{profile:?}");
        }
    }
}
