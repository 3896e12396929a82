//! Notices a kustomization that renames or moves what is being sealed: the result could never be opened.

use std::path::Path;

use serde_json::Value;

use crate::cli::Failure;
use crate::resource::yaml;
use crate::sealing::{Scope, Target};

const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Looks for a kustomization beside the file that is written. None, or one that cannot be read, is no obstacle: kustomize
/// itself will tell.
pub fn check(file: Option<&Path>, target: &Target) -> Result<(), Failure> {
    let Some(folder) = file.and_then(Path::parent) else { return Ok(()) };
    let found = NAMES.iter().map(|name| folder.join(name)).find_map(|path| Some((std::fs::read_to_string(&path).ok()?, path)));
    let Some((text, path)) = found else { return Ok(()) };
    yaml::parse_one(&text).map_or(Ok(()), |kustomization| compare(&path, &kustomization, target))
}

fn compare(path: &Path, kustomization: &Value, target: &Target) -> Result<(), Failure> {
    let field = |name: &str| kustomization.get(name).and_then(Value::as_str).unwrap_or_default();
    let namespace = Some(field("namespace")).filter(|namespace| !namespace.is_empty()).unwrap_or(&target.namespace);
    let name = format!("{}{}{}", field("namePrefix"), target.name, field("nameSuffix"));
    let moved = namespace != target.namespace;
    let renamed = name != target.name;
    let harmless = match target.scope {
        Scope::Strict => !moved && !renamed,
        Scope::NamespaceWide => !moved,
        Scope::ClusterWide => true,
    };
    if harmless {
        return Ok(());
    }
    let path = path.display();
    let what = if moved {
        format!("{path} sets namespace {namespace:?}, but {:?} would be sealed for {:?}", target.name, target.namespace)
    } else {
        format!("{path} renames {:?} to {name:?}, but it would be sealed for {target}", target.name)
    };
    let hint = match (moved, renamed) {
        (true, false) => format!("add -n {namespace}, or choose --scope cluster-wide"),
        (false, _) => format!("add --as-name {namespace}/{name}, or choose --scope namespace-wide"),
        (true, true) => format!("add --as-name {namespace}/{name}, or choose --scope cluster-wide"),
    };
    Err(Failure::new(format!("{what} (scope {}) and could not be decrypted", target.scope)).with_hint(hint))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn answer(kustomization: &str, scope: Scope) -> Result<(), (String, String)> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kustomization.yaml"), kustomization).unwrap();
        let target = Target::new("default", "db", scope);
        check(Some(&folder.path().join("sealed.yaml")), &target).map_err(|failure| {
            let what = failure.what.replace(&folder.path().display().to_string(), "DIR");
            (what, failure.hint.unwrap())
        })
    }

    #[test]
    fn another_namespace_is_an_error_that_names_the_flag() {
        let (what, hint) = answer("namespace: prod\n", Scope::Strict).unwrap_err();
        assert_eq!(
            what,
            "DIR/kustomization.yaml sets namespace \"prod\", but \"db\" would be sealed for \"default\" (scope strict) and could not be decrypted"
        );
        assert_eq!(hint, "add -n prod, or choose --scope cluster-wide");
        assert!(answer("namespace: prod\n", Scope::NamespaceWide).is_err());
        assert_eq!(answer("namespace: prod\n", Scope::ClusterWide), Ok(()));
    }

    #[test]
    fn a_prefix_is_an_error_for_strict_only() {
        let (what, hint) = answer("namePrefix: prod-\n", Scope::Strict).unwrap_err();
        assert_eq!(
            what,
            "DIR/kustomization.yaml renames \"db\" to \"prod-db\", but it would be sealed for default/db (scope strict) and could not be decrypted"
        );
        assert_eq!(hint, "add --as-name default/prod-db, or choose --scope namespace-wide");
        assert_eq!(answer("namePrefix: prod-\n", Scope::NamespaceWide), Ok(()));
    }

    #[test]
    fn the_same_namespace_and_files_without_kustomization_are_fine() {
        assert_eq!(answer("namespace: default\n", Scope::Strict), Ok(()));
        assert_eq!(answer("{broken", Scope::Strict), Ok(()));
        assert!(check(None, &Target::new("a", "b", Scope::Strict)).is_ok());
    }
}
