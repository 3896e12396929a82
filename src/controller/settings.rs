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
    /// Whether submodules are fetched.
    pub submodules: bool,
    /// Longest delivery of a webhook.
    pub max_webhook_bytes: usize,
    /// What is said about objects in destination clusters.
    pub resources: ResourceSettings,
    /// What is chosen about the tools that render.
    pub tools: Tools,
    /// What was written and has no effect, for the log.
    pub warnings: Vec<String>,
}

/// Keys of `argocd-cm` that have an effect.
const KNOWN: &[&str] = &[
    "timeout.reconciliation",
    "timeout.reconciliation.jitter",
    MAX_WEBHOOK,
    // Deliveries of one burst are one listing here, so there is nothing to spread.
    "webhook.refresh.jitter",
    "webhook.refresh.jitter.threshold",
];
const MAX_WEBHOOK: &str = "webhook.maxPayloadSizeMB";

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
        let max_webhook_bytes = match data.get(MAX_WEBHOOK).map(|text| text.trim().parse::<usize>()) {
            Some(Ok(megabytes)) if megabytes > 0 => megabytes.saturating_mul(1 << 20),
            None => 50 << 20,
            Some(_) => {
                warnings.push(format!("argocd-cm {MAX_WEBHOOK}: no whole number above 0; using 50"));
                50 << 20
            }
        };
        let resources = ResourceSettings::from_config_map(data);
        warnings.extend(resources.problems.iter().map(|problem| format!("{problem} (hint: {})", problem.hint)));
        let known = |key: &str| KNOWN.contains(&key) || ResourceSettings::reads(key) || Tools::reads(key);
        for key in data.keys().filter(|key| !known(key)) {
            warnings.push(format!("argocd-cm {key}: has no effect yet"));
        }
        let tools = Tools::from_config_map(data);
        Self { poll_interval, jitter, submodules: true, max_webhook_bytes, resources, tools, warnings }
    }
}

/// True unless the environment, or `argocd-cmd-params-cm` in its place, says that submodules are left out.
#[must_use]
pub fn wants_submodules(environment: Option<&str>, parameters: &BTreeMap<String, String>) -> bool {
    environment
        .or_else(|| parameters.get("reposerver.enable.git.submodule").map(String::as_str))
        .is_none_or(|text| text.trim() != "false")
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
        assert_eq!(settings(&[("webhook.maxPayloadSizeMB", "3")]).max_webhook_bytes, 3 << 20);
        assert_eq!(settings(&[("webhook.maxPayloadSizeMB", "all")]).max_webhook_bytes, 50 << 20);
    }
}
