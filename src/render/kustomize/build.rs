//! How a build is started: with which program, and with which options. Pure.

use std::path::PathBuf;

use crate::api::application::Kustomize;
use crate::cluster::Capabilities;

use super::super::helm::plain_version;
use super::super::{RenderError, Tools};

/// The switch without which charts in kustomizations are refused.
const ENABLE_HELM: &str = "--enable-helm";

/// A build command without its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::render) struct Build {
    /// The program of a registered version; otherwise that of the installation.
    pub(in crate::render) program: Option<PathBuf>,
    /// Options of the command.
    pub(in crate::render) arguments: Vec<String>,
    /// Whether it inflates charts, with `helm`.
    pub(in crate::render) inflates_charts: bool,
}

impl Build {
    /// The command that the source and the installation ask for. Charts see the destination unless the source says otherwise.
    pub(super) fn new(options: &Kustomize, cluster: &Capabilities, tools: &Tools) -> Result<Self, RenderError> {
        let (program, mut arguments) = match options.version.as_str() {
            "" => (None, tools.kustomize_build_options.clone()),
            name => {
                let version = tools.kustomize_versions.get(name).ok_or_else(|| not_registered(name, tools))?;
                (Some(version.path.clone()), version.build_options.clone())
            }
        };
        let inflates_charts = arguments.iter().any(|option| option == ENABLE_HELM || option == "--enable-helm=true");
        if inflates_charts {
            let version = if options.kube_version.is_empty() { &cluster.version } else { &options.kube_version };
            if !version.is_empty() {
                arguments.extend(["--helm-kube-version".into(), plain_version(version)]);
            }
            for version in if options.api_versions.is_empty() { &cluster.api_versions } else { &options.api_versions } {
                arguments.extend(["--helm-api-versions".into(), version.clone()]);
            }
        }
        Ok(Self { program, arguments, inflates_charts })
    }
}

fn not_registered(name: &str, tools: &Tools) -> RenderError {
    let known: Vec<&str> = tools.kustomize_versions.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "none is".to_owned() } else { format!("registered are: {}", known.join(", ")) };
    RenderError::option(
        "kustomize.version",
        format!("`{name}` is not registered as kustomize.path.{name} in argocd-cm ({known})"),
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::super::tools::KustomizeVersion;
    use super::*;

    #[test]
    fn charts_get_their_versions_only_when_they_are_inflated() {
        let options =
            Kustomize { kube_version: "1.31.0".into(), api_versions: vec!["v1".into(), "apps/v1".into()], ..Default::default() };
        let cluster = Capabilities { version: "v1.33.2+k3s1".into(), api_versions: vec!["policy/v1".into()] };
        let mut tools = Tools { kustomize_build_options: vec!["--reorder=none".into()], ..Default::default() };
        assert_eq!(Build::new(&options, &cluster, &tools).unwrap().arguments, ["--reorder=none"]);
        tools.kustomize_build_options = vec!["--enable-helm".into()];
        let build = Build::new(&options, &cluster, &tools).unwrap();
        assert!(build.inflates_charts && build.program.is_none());
        assert_eq!(
            build.arguments.join(" "),
            "--enable-helm --helm-kube-version 1.31.0 --helm-api-versions v1 --helm-api-versions apps/v1"
        );
        let build = Build::new(&Kustomize::default(), &cluster, &tools).unwrap();
        assert_eq!(build.arguments.join(" "), "--enable-helm --helm-kube-version 1.33.2 --helm-api-versions policy/v1");
    }

    #[test]
    fn a_registered_version_brings_its_own_options() {
        let options = Kustomize { version: "v5".into(), ..Default::default() };
        let mut tools = Tools { kustomize_build_options: vec!["--enable-helm".into()], ..Default::default() };
        let error = Build::new(&options, &Capabilities::default(), &tools).unwrap_err().to_string();
        assert!(error.contains("`v5` is not registered") && error.contains("none is"), "{error}");
        tools.kustomize_versions.insert("v5".into(), KustomizeVersion { path: "/k5".into(), build_options: vec!["-x".into()] });
        let build = Build::new(&options, &Capabilities::default(), &tools).unwrap();
        assert_eq!((build.program, build.arguments), (Some(PathBuf::from("/k5")), vec!["-x".to_owned()]));
    }
}
