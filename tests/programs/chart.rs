//! The Helm chart, made from the manifests beside it, so that the two cannot differ.

use std::fs;
use std::path::Path;

/// Which manifests become which template, and the value that leaves the whole file out.
const TEMPLATES: &[(&str, Option<&str>)] = &[
    ("rbac.yaml", None),
    ("rbac-deploy.yaml", Some("deployApplications")),
    ("services.yaml", None),
    ("deployment.yaml", None),
    ("optional/kubeseal-service.yaml", Some("kubesealService")),
    ("optional/deploy-anything.yaml", Some("deployAnything")),
];

/// What is replaced in every manifest.
const EVERYWHERE: &[(&str, &str)] = &[("namespace: argocd", "namespace: {{ .Release.Namespace }}")];

/// What can be chosen about the pod. Each text must be there, so that a change of the manifest is noticed.
const POD: &[(&str, &str)] = &[
    (
        concat!("image: gitops-controller:", env!("CARGO_PKG_VERSION")),
        "image: \"{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}\"",
    ),
    (
        "            - --log-format=json\n",
        "            - --log-format=json\n            {{- range .Values.extraArgs }}\n            - {{ . | quote }}\n            {{- end }}\n",
    ),
    (
        "      serviceAccountName: gitops-controller\n",
        "      serviceAccountName: gitops-controller\n      {{- with .Values.imagePullSecrets }}\n      imagePullSecrets: {{- toYaml . | nindent 8 }}\n      {{- end }}\n      {{- with .Values.nodeSelector }}\n      nodeSelector: {{- toYaml . | nindent 8 }}\n      {{- end }}\n      {{- with .Values.tolerations }}\n      tolerations: {{- toYaml . | nindent 8 }}\n      {{- end }}\n",
    ),
];

/// Path below `deploy/chart` and content of every generated file of the chart.
pub fn files(deploy: &Path) -> Vec<(String, String)> {
    let version = env!("CARGO_PKG_VERSION");
    let mut files = vec![("Chart.yaml".to_owned(), format!("{}version: {version}\nappVersion: {version}\n", CHART))];
    for (file, only_if) in TEMPLATES {
        let text = fs::read_to_string(deploy.join(file)).expect("the shipped manifests can be read");
        let name = file.rsplit('/').next().unwrap_or(file);
        files.push((format!("templates/{name}"), template(file, &text, *only_if)));
    }
    files
}

const CHART: &str = "\
# Generated from the manifests in deploy/: `make generate`.
apiVersion: v2
name: kubectl-gitops
description: GitOps and Sealed Secrets in one small controller
type: application
";

fn template(file: &str, text: &str, only_if: Option<&str>) -> String {
    let mut text = replace(text, EVERYWHERE);
    if file == "deployment.yaml" {
        for (from, to) in POD {
            assert!(text.contains(from), "{file} has no {from:?}");
            text = text.replacen(from, to, 1);
        }
    }
    let head = format!("{{{{- /* Generated from deploy/{file}: `make generate`. */}}}}\n");
    match only_if {
        Some(value) => format!("{head}{{{{- if .Values.{value} }}}}\n{}\n{{{{- end }}}}\n", text.trim_end()),
        None => head + &text,
    }
}

fn replace(text: &str, pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}
