//! Options of a source as flags; the names of Argo CD's command line are accepted as well. Pure.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::api::application::{ApplicationSource, Directory, IntOrString, Kustomize, KustomizeReplica};

/// Options of one source.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Source options")]
pub struct SourceOptions {
    /// Image to use, as [OLD=]NEW[:TAG][@DIGEST]; may be given several times
    #[arg(long, value_name = "IMAGE")]
    kustomize_image: Vec<String>,
    /// Replicas of one workload, as NAME=COUNT; may be given several times
    #[arg(long, value_name = "NAME=COUNT", value_parser = pair)]
    kustomize_replica: Vec<(String, String)>,
    /// Prefix of all names
    #[arg(long, value_name = "PREFIX", allow_hyphen_values = true, alias = "nameprefix")]
    kustomize_name_prefix: Option<String>,
    /// Suffix of all names
    #[arg(long, value_name = "SUFFIX", allow_hyphen_values = true, alias = "namesuffix")]
    kustomize_name_suffix: Option<String>,
    /// Namespace of all objects
    #[arg(long, value_name = "NAMESPACE")]
    kustomize_namespace: Option<String>,
    /// Label of all objects, as NAME=VALUE; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair, alias = "kustomize-common-label")]
    kustomize_label: Vec<(String, String)>,
    /// Annotation of all objects, as NAME=VALUE; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair, alias = "kustomize-common-annotation")]
    kustomize_annotation: Vec<(String, String)>,
    /// Component to add, as a path from the kustomization; may be given several times
    #[arg(long, value_name = "PATH")]
    kustomize_component: Vec<String>,
    /// Registered version of kustomize
    #[arg(long, value_name = "VERSION")]
    kustomize_version: Option<String>,
    /// Value of a chart, as NAME=VALUE; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    helm_set: Vec<(String, String)>,
    /// Value of a chart that is a text whatever it looks like, as NAME=VALUE; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    helm_set_string: Vec<(String, String)>,
    /// Value of a chart that is read from a file of the source, as NAME=PATH; may be given several times
    #[arg(long, value_name = "NAME=PATH", value_parser = pair)]
    helm_set_file: Vec<(String, String)>,
    /// File of the source with values of a chart; may be given several times
    #[arg(long, value_name = "PATH", alias = "values")]
    helm_values: Vec<String>,
    /// Name of the release
    #[arg(long, value_name = "NAME", alias = "release-name")]
    helm_release_name: Option<String>,
    /// Leave out the definitions in the folder crds of a chart
    #[arg(long)]
    helm_skip_crds: bool,
    /// Leave out the test manifests of a chart
    #[arg(long)]
    helm_skip_tests: bool,
    /// Walk folders below a plain directory
    #[arg(long)]
    directory_recurse: bool,
    /// Files of a plain directory to use
    #[arg(long, value_name = "GLOB")]
    directory_include: Option<String>,
    /// Files of a plain directory to leave out
    #[arg(long, value_name = "GLOB")]
    directory_exclude: Option<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".into()),
    }
}

impl SourceOptions {
    /// Sets what was given on a source, and leaves the rest of it alone. Of a list, entries of the same name are replaced.
    pub fn apply(&self, source: &mut ApplicationSource) {
        let mut kustomize = source.kustomize.clone().unwrap_or_default();
        if self.kustomize(&mut kustomize) {
            source.kustomize = Some(kustomize);
        }
        let mut directory = source.directory.clone().unwrap_or_default();
        if self.directory(&mut directory) {
            source.directory = Some(directory);
        }
        let mut helm = source.helm.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
        if self.helm(&mut helm) {
            source.helm = Some(Value::Object(helm));
        }
    }

    fn kustomize(&self, into: &mut Kustomize) -> bool {
        let before = into.clone();
        for (field, value) in [
            (&mut into.name_prefix, &self.kustomize_name_prefix),
            (&mut into.name_suffix, &self.kustomize_name_suffix),
            (&mut into.namespace, &self.kustomize_namespace),
            (&mut into.version, &self.kustomize_version),
        ] {
            if let Some(value) = value {
                field.clone_from(value);
            }
        }
        for image in &self.kustomize_image {
            let of = |image: &str| image_name(image).to_owned();
            into.images.retain(|old| of(old) != of(image));
            into.images.push(image.clone());
        }
        for (name, count) in &self.kustomize_replica {
            into.replicas.retain(|old| old.name != *name);
            let count = count.parse().map_or_else(|_| IntOrString::String(count.clone()), IntOrString::Int);
            into.replicas.push(KustomizeReplica { name: name.clone(), count });
        }
        into.common_labels.extend(self.kustomize_label.iter().cloned());
        into.common_annotations.extend(self.kustomize_annotation.iter().cloned());
        for component in self.kustomize_component.iter().filter(|component| !before.components.contains(component)) {
            into.components.push(component.clone());
        }
        *into != before
    }

    fn directory(&self, into: &mut Directory) -> bool {
        let before = into.clone();
        into.recurse |= self.directory_recurse;
        for (field, value) in [(&mut into.include, &self.directory_include), (&mut into.exclude, &self.directory_exclude)] {
            if let Some(value) = value {
                field.clone_from(value);
            }
        }
        *into != before
    }

    fn helm(&self, into: &mut Map<String, Value>) -> bool {
        let before = into.clone();
        if let Some(name) = &self.helm_release_name {
            into.insert("releaseName".into(), name.as_str().into());
        }
        for (set, field) in [(self.helm_skip_crds, "skipCrds"), (self.helm_skip_tests, "skipTests")] {
            if set {
                into.insert(field.into(), true.into());
            }
        }
        if !self.helm_values.is_empty() {
            into.insert("valueFiles".into(), json!(self.helm_values));
        }
        for (name, value) in &self.helm_set {
            put_named(into, "parameters", name, json!({"name": name, "value": value}));
        }
        for (name, value) in &self.helm_set_string {
            put_named(into, "parameters", name, json!({"name": name, "value": value, "forceString": true}));
        }
        for (name, path) in &self.helm_set_file {
            put_named(into, "fileParameters", name, json!({"name": name, "path": path}));
        }
        *into != before
    }
}

/// The image that an override is about: what is before `=`, else the name without tag and digest.
fn image_name(image: &str) -> &str {
    if let Some((old, _)) = image.split_once('=') {
        return old;
    }
    let name = image.split('@').next().unwrap_or(image);
    name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(name, |(name, _)| name)
}

/// Puts an entry into a list, in place of the one of the same name.
fn put_named(map: &mut Map<String, Value>, field: &str, name: &str, entry: Value) {
    let list = map.entry(field).or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(entries) = list {
        entries.retain(|old| old.get("name").and_then(Value::as_str) != Some(name));
        entries.push(entry);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: SourceOptions,
    }

    fn applied(before: Value, flags: &[&str]) -> Value {
        let mut source: ApplicationSource = serde_json::from_value(before).unwrap();
        Line::try_parse_from(["x"].iter().chain(flags)).unwrap().options.apply(&mut source);
        serde_json::to_value(source).unwrap()
    }

    #[test]
    fn nothing_given_changes_nothing() {
        let source = json!({"repoURL": "u", "path": "p", "kustomize": {"namePrefix": "a-"}, "helm": {"values": "x: 1"}});
        assert_eq!(applied(source.clone(), &[]), source);
    }

    #[test]
    fn entries_of_the_same_name_are_replaced_and_the_rest_stays() {
        let before = json!({"repoURL": "u", "kustomize": {"images": ["nginx:1", "host:5000/app=x:1"], "namePrefix": "a-",
            "replicas": [{"name": "web", "count": 1}]}});
        let after = applied(
            before,
            &[
                "--kustomize-image",
                "nginx:2",
                "--kustomize-replica",
                "web=3",
                "--kustomize-label",
                "team=shop",
                "--namesuffix",
                "-z",
            ],
        );
        let expected = json!({"images": ["host:5000/app=x:1", "nginx:2"], "namePrefix": "a-", "nameSuffix": "-z",
            "replicas": [{"name": "web", "count": 3}], "commonLabels": {"team": "shop"}});
        assert_eq!(after, json!({"repoURL": "u", "kustomize": expected}));
    }

    #[test]
    fn values_of_charts_are_parameters() {
        let before = json!({"repoURL": "u", "helm": {"parameters": [{"name": "a", "value": "1"}], "values": "x: 1"}});
        let flags = ["--helm-set", "a=2", "--helm-set-string", "b=007", "--values", "prod.yaml", "--helm-set-file", "c=c.txt"];
        let expected = json!({"parameters": [{"name": "a", "value": "2"}, {"name": "b", "value": "007", "forceString": true}],
            "fileParameters": [{"name": "c", "path": "c.txt"}], "valueFiles": ["prod.yaml"], "values": "x: 1"});
        assert_eq!(applied(before, &flags), json!({"repoURL": "u", "helm": expected}));
    }
}
