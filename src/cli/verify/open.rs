//! Whether each SealedSecret opens with the keys of a backup, where the controller would open it.
//!
//! That is the place its file names, or one that a kustomization or an Application of the repository gives it, or one that the user
//! named. The template records for which place an object was sealed; a drill of backups may rely on that, a gate may not: an object
//! that was renamed by hand, or whose scope annotation is missing, opens for whoever has the keys and not in the cluster.

use std::path::{Path, PathBuf};

use super::VerifyArgs;
use super::scan::{Finding, Level, Sealed};
use crate::api::SealedSecret;
use crate::cli::Failure;
use crate::cli::secrets::{git, sealed};
use crate::keys::drill::{Places, read_repository};
use crate::sealing::{Keyring, Target, Trial, opens_as, recorded_place, unseal};

/// Tries each one. What opens at its own place costs no look into the repository.
pub fn check(args: &VerifyArgs, all: &[Sealed]) -> Result<Vec<Finding>, Failure> {
    let keys = args.recovery.keyring()?;
    let opens_itself = |one: &&Sealed| opens_as(&one.sealed, &Target::of(&one.sealed.metadata), &keys, &mut Trial::default());
    let closed: Vec<&Sealed> = all.iter().filter(|one| !opens_itself(one)).collect();
    if closed.is_empty() {
        return Ok(Vec::new());
    }
    let places = places(args)?;
    Ok(closed.into_iter().filter_map(|one| undecryptable(one, &keys, &places)).collect())
}

/// What the user named, and what the repositories do to names and namespaces.
fn places(args: &VerifyArgs) -> Result<Places, Failure> {
    let mut places = Places { named: args.as_name.clone(), ..Places::default() };
    let mut seen: Vec<PathBuf> = Vec::new();
    for folder in args.paths.iter().filter_map(|path| repository_of(path)) {
        if !seen.contains(&folder) {
            let failed = |error: std::io::Error| Failure::new(format!("cannot read {}", folder.display())).with_cause(&error);
            places.renamings.extend(read_repository(&folder, &[]).map_err(failed)?.renamings);
            seen.push(folder);
        }
    }
    Ok(places)
}

/// A folder stands for itself; a file for its repository, of which an overlay elsewhere may rename it.
fn repository_of(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        return Some(path.to_owned());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    git::top(folder)
}

fn undecryptable(one: &Sealed, keys: &Keyring, places: &Places) -> Option<Finding> {
    let mut trial = Trial::default();
    if in_the_cluster(&one.sealed, places).iter().any(|place| opens_as(&one.sealed, place, keys, &mut trial)) {
        return None;
    }
    let reason = match unseal(&one.sealed, keys, &mut trial) {
        Ok(_) => "opens only in part".to_owned(),
        Err(error) => error.to_string().replace('\n', "; "),
    };
    Some(not_opened(one, &reason))
}

/// Where the object may be when the controller looks at it. A file without a namespace leaves that to whoever applies it.
fn in_the_cluster(sealed: &SealedSecret, places: &Places) -> Vec<Target> {
    let own = Target::of(&sealed.metadata);
    let mut as_filed = sealed.clone();
    as_filed.spec.template = None;
    let mut all = places.candidates(&as_filed);
    let recorded = recorded_place(sealed, &own).filter(|_| own.namespace.is_empty());
    all.extend(recorded.map(|recorded| Target::new(recorded.namespace, &own.name, own.scope)));
    all.retain(|place| place.scope == own.scope);
    all
}

/// The finding for an object that does not open.
pub fn not_opened(one: &Sealed, reason: &str) -> Finding {
    Finding {
        file: one.file.clone(),
        line: one.line,
        level: Level::Error,
        code: "undecryptable",
        message: format!("SealedSecret {}: {reason}", sealed::name_of(&one.sealed)),
        hint: Some("kubectl gitops explain FILE --key BACKUP; kustomize renames it? --as-name NAMESPACE/NAME"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::sealing::fixtures;

    #[test]
    fn an_object_counts_where_it_will_be_and_not_where_it_was_sealed_for() {
        let keys = fixtures::keyring(&["new"]);
        let opens = |case: &str, named: &[(&str, &str)]| {
            let sealed = serde_json::from_value(fixtures::yaml(&format!("{case}/sealed.yaml"))).unwrap();
            let named = named.iter().map(|(namespace, name)| ((*namespace).to_owned(), (*name).to_owned())).collect();
            let places = Places { named, ..Places::default() };
            undecryptable(&Sealed { file: "f".into(), line: 1, sealed }, &keys, &places).is_none()
        };
        assert!(opens("strict", &[]));
        assert!(!opens("renamed-after-sealing", &[]));
        assert!(opens("renamed-after-sealing", &[("web", "db")]), "a kustomization of another repository gives it its old name");
        assert!(!opens("scope-annotation-missing", &[]) && !opens("scope-annotation-stray", &[]));
    }
}
