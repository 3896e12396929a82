//! Settings in `argocd-cm`, read at start as Argo CD does.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::customisation::ResourceSettings;
use crate::render::Tools;
use crate::sync::retry;

/// Settings of the controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How often a repository is asked for changes; zero never.
    pub poll_interval: Duration,
    /// Up to this much is added to each interval.
    pub jitter: Duration,
    /// What is said about objects in destination clusters.
    pub resources: ResourceSettings,
    /// What is chosen about the tools that render.
    pub tools: Tools,
    /// What was written and has no effect, for the log.
    pub warnings: Vec<String>,
}

/// Keys of `argocd-cm` that have an effect.
const KNOWN: &[&str] = &["timeout.reconciliation", "timeout.reconciliation.jitter"];

impl Settings {
    /// Reads the data of `argocd-cm`; a value that cannot be read falls back to its default with a warning.
    #[must_use]
    pub fn from_config_map(data: &BTreeMap<String, String>) -> Self {
        let mut warnings = Vec::new();
        let mut duration = |key: &str, default: Duration| match data.get(key).map(|text| retry::parse(text.trim())) {
            None => default,
            Some(Ok(duration)) => duration,
            Some(Err(error)) => {
                warnings.push(format!("argocd-cm {key}: {error}; using {} s", default.as_secs()));
                default
            }
        };
        let poll_interval = duration("timeout.reconciliation", Duration::from_secs(120));
        let jitter = duration("timeout.reconciliation.jitter", Duration::from_secs(60));
        let resources = ResourceSettings::from_config_map(data);
        warnings.extend(resources.problems.iter().map(|problem| format!("{problem} (hint: {})", problem.hint)));
        let known = |key: &str| KNOWN.contains(&key) || ResourceSettings::reads(key) || Tools::reads(key);
        for key in data.keys().filter(|key| !known(key)) {
            warnings.push(format!("argocd-cm {key}: has no effect yet"));
        }
        Self { poll_interval, jitter, resources, tools: Tools::from_config_map(data), warnings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_values_and_warnings() {
        let settings = |pairs: &[(&str, &str)]| {
            Settings::from_config_map(&pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect())
        };
        assert_eq!(settings(&[]).poll_interval, Duration::from_secs(120));
        assert_eq!(settings(&[("timeout.reconciliation", "3m")]).poll_interval, Duration::from_secs(180));
        let helm = settings(&[("kustomize.buildOptions", "--enable-helm")]);
        assert_eq!(
            (helm.tools.kustomize_build_options.as_slice(), helm.warnings.len()),
            (["--enable-helm".to_owned()].as_slice(), 0)
        );
        let odd = settings(&[("timeout.reconciliation", "soon"), ("oidc.config", "x")]);
        assert_eq!(odd.poll_interval, Duration::from_secs(120));
        assert_eq!(odd.warnings.len(), 2, "{:?}", odd.warnings);
    }
}
