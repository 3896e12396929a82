//! Drills over small repositories in temporary folders.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use serde_json::json;

use super::*;
use crate::resource::{Object, yaml};
use crate::sealing::fixtures::{certificate, keyring};
use crate::sealing::{Scope, SealedFor, SessionKey, seal_secret};

/// A SealedSecret that was sealed for one place and carries another name in its file.
fn sealed_for(namespace: &str, name: &str, name_in_file: &str) -> String {
    let secret = Object::from_value(json!({"metadata": {"name": name}, "stringData": {"password": "marker-value"}})).unwrap();
    let place = SealedFor {
        target: Target::new(namespace, name, Scope::Strict),
        name_in_file: Some(name_in_file.to_owned()),
        namespace_in_file: Some(String::new()),
    };
    let mut sealed = seal_secret(&secret, &place, &certificate("small"), &mut || SessionKey::new([3; 32])).unwrap();
    // As somebody might edit it: without the note of the original place.
    sealed.0["spec"].as_object_mut().unwrap().remove("template");
    yaml::to_yaml(&sealed.into_value())
}

fn run(files: &[(&str, &str)], named: &[(&str, &str)], keys: &[&str]) -> (Repository, Vec<Drilled>) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let repository = read_repository(folder.path(), &[]).unwrap();
    let named = named.iter().map(|(namespace, name)| ((*namespace).to_owned(), (*name).to_owned())).collect();
    let places = Places { renamings: repository.renamings.clone(), named };
    let drilled = drill(&repository, &keyring(keys), &places);
    (repository, drilled)
}

fn opened(drilled: &[Drilled]) -> Vec<Option<&str>> {
    drilled.iter().map(|one| one.opened_as.as_deref()).collect()
}

#[test]
fn opens_objects_that_an_overlay_renames_and_moves() {
    let db = sealed_for("payment-backend", "prod-db", "db");
    let files = [
        ("base/db.yaml", db.as_str()),
        ("base/kustomization.yaml", "resources: [db.yaml]\n"),
        ("overlays/prod/kustomization.yaml", "namePrefix: prod-\nnamespace: payment-backend\nresources: [../../base]\n"),
    ];
    let (_, drilled) = run(&files, &[], &["small"]);
    assert_eq!(opened(&drilled), [Some("payment-backend/prod-db")]);
    assert!(drilled[0].renamed);
}

#[test]
fn opens_objects_that_an_application_renames() {
    let db = sealed_for("payment-backend", "prod-db", "db");
    let app = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nspec:\n  destination: {namespace: payment-backend}\n  source: {kustomize: \
               {namePrefix: prod-}}\n";
    let (_, drilled) = run(&[("app.yaml", app), ("db.yaml", &db)], &[], &["small"]);
    assert_eq!(opened(&drilled), [Some("payment-backend/prod-db")]);
}

#[test]
fn a_place_that_nothing_speaks_of_can_be_given() {
    let db = sealed_for("far", "away", "db");
    let (_, drilled) = run(&[("db.yaml", &db)], &[], &["small"]);
    assert_eq!(opened(&drilled), [None]);
    assert!(drilled[0].tried.contains(&"/db".to_owned()), "{:?}", drilled[0].tried);
    let (_, drilled) = run(&[("db.yaml", &db)], &[("far", "away")], &["small"]);
    assert_eq!(opened(&drilled), [Some("far/away")]);
}

#[test]
fn a_missing_key_is_reported_and_no_value_is_shown() {
    let db = sealed_for("web", "db", "db");
    let (_, drilled) = run(&[("db.yaml", &db)], &[("web", "db")], &["new", "old"]);
    assert_eq!(opened(&drilled), [None]);
    assert!(drilled[0].problem.as_deref().unwrap().starts_with("no key could decrypt secret (password)"));
    assert!(!format!("{drilled:?}").contains("marker"));
}

#[test]
fn finds_objects_in_streams_and_lists_and_reports_files_it_cannot_read() {
    let db = sealed_for("", "db", "db");
    let stream = format!("kind: ConfigMap\n---\n{db}---\nkind: Service\n");
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {}", db.trim_end().replace('\n', "\n  "));
    let template = "kind: SealedSecret\nmetadata:\n  name: {{ .Values.name }}\n";
    let files = [
        ("a/stream.yaml", stream.as_str()),
        ("b/list.yml", &list),
        ("chart/sealed.yaml", template),
        ("chart/other.yaml", "{{ x }}\n"),
    ];
    let (repository, drilled) = run(&files, &[], &["small"]);
    assert_eq!(drilled.iter().map(|one| (one.file.as_str(), one.line)).collect::<Vec<_>>().len(), 2);
    assert!(drilled.iter().all(|one| one.opened_as.is_some()));
    assert_eq!(repository.unreadable.iter().map(|one| one.file.as_str()).collect::<Vec<_>>(), ["chart/sealed.yaml"]);
}

#[test]
fn skipped_paths_and_the_git_folder_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    for path in [".git/x.yaml", "skipped/x.yaml"] {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "kind: SealedSecret\nbroken: [").unwrap();
    }
    let repository = read_repository(folder.path(), &[Path::new("skipped").to_owned()]).unwrap();
    assert!(repository.sealed.is_empty() && repository.unreadable.is_empty());
}
