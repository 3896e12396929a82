//! For which namespace, name and scope a Secret is sealed: the commonest cause of "no key could decrypt" is to guess here.

use std::io::IsTerminal as _;

use super::SealArgs;
use crate::cli::{Context, Failure};
use crate::resource::Object;
use crate::sealing::{Certificate, Scope, SealedFor, Target};

/// Where a Secret is sealed for, and where that comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub sealed_for: SealedFor,
    namespace_from: &'static str,
}

impl Place {
    /// One line for people.
    pub fn describe(&self, certificate: &Certificate) -> String {
        let Target { namespace, name, scope } = &self.sealed_for.target;
        let short = certificate.fingerprint.chars().take("sha256:".len() + 12).collect::<String>();
        match scope {
            Scope::ClusterWide => format!("sealing {name} for any namespace, scope {scope}, key {short}"),
            _ => format!("sealing {name} for namespace {namespace:?} ({}), scope {scope}, key {short}", self.namespace_from),
        }
    }
}

/// What decides, apart from the Secret.
struct Wishes<'a> {
    name: Option<&'a str>,
    scope: Option<Scope>,
    as_name: Option<&'a (String, String)>,
    namespace_flag: Option<&'a str>,
    /// Namespace of the kubeconfig's context; only where a person reads for what we seal.
    context_namespace: Option<String>,
}

/// Decides the place of one Secret. Asks the kubeconfig for a namespace only when nothing else names one.
pub fn decide(secret: &Object, args: &SealArgs, cx: &Context) -> Result<Place, Failure> {
    let flag = cx.flags.namespace.as_deref();
    let may_ask = std::io::stderr().is_terminal() && flag.is_none() && secret.namespace().is_empty() && args.as_name.is_none();
    let context_namespace = if may_ask { cx.context_namespace()? } else { None };
    let wishes = Wishes {
        name: args.name.as_deref(),
        scope: args.scope,
        as_name: args.as_name.as_ref(),
        namespace_flag: flag,
        context_namespace,
    };
    place(secret, wishes)
}

fn place(secret: &Object, wishes: Wishes<'_>) -> Result<Place, Failure> {
    let name = wishes.name.unwrap_or_else(|| secret.name());
    if name.is_empty() {
        return Err(Failure::new("missing metadata.name in input Secret").with_hint("add it, or --name NAME"));
    }
    let annotated = Scope::from_annotations(|annotation| secret.annotation(annotation));
    let scope = wishes.scope.unwrap_or(annotated);
    refuse_mismatch(secret.namespace(), wishes.namespace_flag)?;
    if let Some((final_namespace, final_name)) = wishes.as_name {
        let in_file =
            Some(secret.namespace()).filter(|namespace| !namespace.is_empty()).or(wishes.namespace_flag).unwrap_or_default();
        let sealed_for = SealedFor {
            target: Target::new(final_namespace, final_name, scope),
            name_in_file: Some(name.to_owned()),
            namespace_in_file: Some(in_file.to_owned()),
        };
        return Ok(Place { sealed_for, namespace_from: "from --as-name" });
    }
    let candidates = [
        (Some(secret.namespace().to_owned()).filter(|namespace| !namespace.is_empty()), "from the file"),
        (wishes.namespace_flag.map(str::to_owned), "from -n"),
        (wishes.context_namespace, "from the kubeconfig context"),
    ];
    let found = candidates.into_iter().find_map(|(namespace, from)| Some((namespace?, from)));
    let (namespace, namespace_from) = match (found, scope) {
        (Some(found), _) => found,
        (None, Scope::ClusterWide) => (String::new(), ""),
        (None, _) => {
            return Err(Failure::new(format!("no namespace for Secret {name:?}: not in the file, no -n, no terminal to ask"))
                .with_hint(format!("kubectl gitops seal -n NAMESPACE, with the namespace that {name:?} will live in")));
        }
    };
    Ok(Place { sealed_for: SealedFor::itself(Target::new(namespace, name, scope)), namespace_from })
}

fn refuse_mismatch(in_file: &str, flag: Option<&str>) -> Result<(), Failure> {
    match flag {
        Some(flag) if !in_file.is_empty() && flag != in_file => {
            let what = format!("namespace mismatch: input secret is in namespace {in_file:?} but {flag:?} was specified");
            Err(Failure::new(what).with_hint("change metadata.namespace in the input, or leave out -n"))
        }
        _ => Ok(()),
    }
}

/// Parses `NAMESPACE/NAME`.
pub fn parse_final(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err("expected NAMESPACE/NAME".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::sealing::NAMESPACE_WIDE;
    use serde_json::{Value, json};

    fn secret(metadata: Value) -> Object {
        Object::from_value(json!({"kind": "Secret", "metadata": metadata})).unwrap()
    }

    fn none() -> Wishes<'static> {
        Wishes { name: None, scope: None, as_name: None, namespace_flag: None, context_namespace: None }
    }

    fn target(metadata: Value, wishes: Wishes<'_>) -> Result<String, String> {
        let target = place(&secret(metadata), wishes).map_err(|failure| failure.what)?.sealed_for.target;
        Ok(format!("{}/{} {}", target.namespace, target.name, target.scope))
    }

    #[test]
    fn the_namespace_comes_from_the_file_then_the_flag_then_the_context() {
        let context = || Wishes { context_namespace: Some("ctx".into()), ..none() };
        assert_eq!(target(json!({"name": "db", "namespace": "web"}), context()), Ok("web/db strict".into()));
        assert_eq!(
            target(json!({"name": "db"}), Wishes { namespace_flag: Some("flag"), ..context() }),
            Ok("flag/db strict".into())
        );
        assert_eq!(target(json!({"name": "db"}), context()), Ok("ctx/db strict".into()));
        assert!(target(json!({"name": "db"}), none()).unwrap_err().starts_with("no namespace for Secret \"db\""));
        assert_eq!(
            target(json!({"name": "db"}), Wishes { scope: Some(Scope::ClusterWide), ..none() }),
            Ok("/db cluster-wide".into())
        );
    }

    #[test]
    fn a_flag_that_contradicts_the_file_is_refused() {
        let error =
            target(json!({"name": "db", "namespace": "web"}), Wishes { namespace_flag: Some("other"), ..none() }).unwrap_err();
        assert_eq!(error, "namespace mismatch: input secret is in namespace \"web\" but \"other\" was specified");
    }

    #[test]
    fn the_scope_flag_beats_the_annotation() {
        let metadata = json!({"name": "db", "namespace": "web", "annotations": {NAMESPACE_WIDE: "true"}});
        assert_eq!(target(metadata.clone(), none()), Ok("web/db namespace-wide".into()));
        assert_eq!(target(metadata, Wishes { scope: Some(Scope::Strict), ..none() }), Ok("web/db strict".into()));
    }

    #[test]
    fn a_final_name_leaves_the_file_as_it_is() {
        let final_name = ("payment-backend".to_owned(), "prod-db".to_owned());
        let place = place(&secret(json!({"name": "db"})), Wishes { as_name: Some(&final_name), ..none() }).unwrap();
        assert_eq!(place.sealed_for.target, Target::new("payment-backend", "prod-db", Scope::Strict));
        assert_eq!(place.sealed_for.name_in_file.as_deref(), Some("db"));
        assert_eq!(place.sealed_for.namespace_in_file.as_deref(), Some(""));
    }

    #[test]
    fn final_names_have_two_parts() {
        assert_eq!(parse_final("a/b"), Ok(("a".into(), "b".into())));
        for text in ["a", "/b", "a/", "a/b/c"] {
            assert!(parse_final(text).is_err(), "{text}");
        }
    }
}
