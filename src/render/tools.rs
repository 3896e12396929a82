//! What an installation chose about the tools that render. Pure.
//!
//! Source: Argo CD 3.5, `argocd-cm` (reference section 8.1) and its Kustomize settings (section 1.7).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::SourceType;

/// Options of every build.
const BUILD_OPTIONS: &str = "kustomize.buildOptions";
/// Prefixes of a registered version: its program (in two spellings) and its options.
const VERSION_PATHS: [&str; 2] = ["kustomize.path.", "kustomize.version."];
const VERSION_OPTIONS: &str = "kustomize.buildOptions.";
/// Switches of tools.
const SWITCHES: [(&str, SourceType); 2] = [("kustomize.enable", SourceType::Kustomize), ("helm.enable", SourceType::Helm)];

/// Settings of the tools; the default is that of an empty `argocd-cm`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tools {
    /// Options of the command that builds kustomizations.
    pub kustomize_build_options: Vec<String>,
    /// Registered versions of kustomize by name.
    pub kustomize_versions: BTreeMap<String, KustomizeVersion>,
    /// Switches that are off.
    pub disabled: BTreeSet<&'static str>,
}

/// A registered version of kustomize.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KustomizeVersion {
    /// The program.
    pub path: PathBuf,
    /// Options of its build command; those of the default version do not apply.
    pub build_options: Vec<String>,
}

impl Tools {
    /// Reads the data of `argocd-cm`.
    #[must_use]
    pub fn from_config_map(data: &BTreeMap<String, String>) -> Self {
        let words = |text: &String| text.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>();
        let mut tools =
            Self { kustomize_build_options: data.get(BUILD_OPTIONS).map(words).unwrap_or_default(), ..Self::default() };
        for (key, value) in data {
            let Some(name) = VERSION_PATHS.iter().find_map(|prefix| key.strip_prefix(prefix)) else { continue };
            let build_options = data.get(&format!("{VERSION_OPTIONS}{name}")).map(words).unwrap_or_default();
            let version = KustomizeVersion { path: PathBuf::from(value.trim()), build_options };
            tools.kustomize_versions.insert(name.to_owned(), version);
        }
        // Only `true` and the empty text enable a tool.
        let off = |key: &str| data.get(key).is_some_and(|value| !matches!(value.as_str(), "" | "true"));
        tools.disabled = SWITCHES.iter().map(|(key, _)| *key).filter(|key| off(key)).collect();
        tools
    }

    /// True for a key of `argocd-cm` that has an effect here.
    #[must_use]
    pub fn reads(key: &str) -> bool {
        key == BUILD_OPTIONS
            || SWITCHES.iter().any(|(switch, _)| key == *switch)
            || VERSION_PATHS.iter().any(|prefix| key.starts_with(prefix))
            || key.starts_with(VERSION_OPTIONS)
    }

    /// True when the installation lets this tool render.
    #[must_use]
    pub fn enables(&self, tool: SourceType) -> bool {
        !SWITCHES.iter().any(|(key, switched)| *switched == tool && self.disabled.contains(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(pairs: &[(&str, &str)]) -> Tools {
        Tools::from_config_map(&pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect())
    }

    #[test]
    fn settings_are_read_as_the_original_reads_them() {
        assert_eq!(tools(&[]), Tools::default());
        let found = tools(&[
            ("kustomize.buildOptions", " --enable-helm\n --load-restrictor=LoadRestrictionsNone "),
            ("kustomize.path.v5.0.0", "/custom/kustomize5 "),
            ("kustomize.buildOptions.v5.0.0", "--reorder none"),
            ("kustomize.version.v3.8.1", "/old/kustomize"),
            ("helm.enable", "no"),
            ("kustomize.enable", "true"),
        ]);
        assert_eq!(found.kustomize_build_options, ["--enable-helm", "--load-restrictor=LoadRestrictionsNone"]);
        let version = |path: &str, options: &[&str]| KustomizeVersion {
            path: path.into(),
            build_options: options.iter().map(|option| (*option).to_owned()).collect(),
        };
        let versions =
            [("v3.8.1", version("/old/kustomize", &[])), ("v5.0.0", version("/custom/kustomize5", &["--reorder", "none"]))];
        assert_eq!(found.kustomize_versions, versions.map(|(name, version)| (name.to_owned(), version)).into());
        assert!(!found.enables(SourceType::Helm) && found.enables(SourceType::Kustomize) && found.enables(SourceType::Directory));
        for key in ["kustomize.buildOptions", "kustomize.path.v1", "kustomize.buildOptions.v1", "helm.enable"] {
            assert!(Tools::reads(key), "{key}");
        }
        assert!(!Tools::reads("oidc.config"));
    }
}
