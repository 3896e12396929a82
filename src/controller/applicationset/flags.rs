//! The flags of Argo CD's ApplicationSet controller, with its names, defaults and environment variables, so that an
//! installation's arguments and its `argocd-cmd-params-cm` carry over.

use std::time::Duration;

use clap::Args;

use super::{AppsetOptions, ScmOptions};
use crate::appset::budget::Budget;
use crate::appset::plan::{Policy, Settings};
use crate::sync::retry;

/// Interval of generators that nobody tells, when the environment names none.
const REQUEUE_AFTER: &str = "3m";

/// Flags about ApplicationSets.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "ApplicationSets")]
pub struct AppsetFlags {
    /// What may be done with generated Applications: create-only, create-update, create-delete or sync.
    #[arg(long, env = "ARGOCD_APPLICATIONSET_CONTROLLER_POLICY", value_name = "POLICY", default_value = "", value_parser = parse_policy)]
    policy: Policy,
    /// An ApplicationSet may choose its own policy. By default it may, unless ARGOCD_APPLICATIONSET_CONTROLLER_POLICY is set.
    #[arg(long, env = "ARGOCD_APPLICATIONSET_CONTROLLER_ENABLE_POLICY_OVERRIDE", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    enable_policy_override: Option<bool>,
    /// Annotations of generated Applications that stay when others set them. Repeatable, or separated by commas.
    #[arg(
        long,
        env = "ARGOCD_APPLICATIONSET_CONTROLLER_GLOBAL_PRESERVED_ANNOTATIONS",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    preserved_annotations: Vec<String>,
    /// Labels of generated Applications that stay when others set them. Repeatable, or separated by commas.
    #[arg(long, env = "ARGOCD_APPLICATIONSET_CONTROLLER_GLOBAL_PRESERVED_LABELS", value_name = "NAMES", value_delimiter = ',')]
    preserved_labels: Vec<String>,
    /// How many Applications of one ApplicationSet one pass may delete without approval: a number, a percentage or unlimited. By
    /// default 10, or half of them if that is more.
    #[arg(long, value_name = "BUDGET")]
    applicationset_deletion_budget: Option<Budget>,
    /// How often git and clusterDecisionResource generators look again.
    #[arg(long, env = "ARGOCD_APPLICATIONSET_CONTROLLER_REQUEUE_AFTER", value_name = "DURATION", default_value = REQUEUE_AFTER, value_parser = retry::parse)]
    applicationset_requeue_after: Duration,
    /// Applications of one ApplicationSet that are written side by side.
    #[arg(long, env = "ARGOCD_APPLICATIONSET_CONTROLLER_CONCURRENT_APPLICATION_UPDATES", value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=200))]
    concurrent_application_updates: u16,
    /// Entries in status.resources of an ApplicationSet; 0 for all.
    #[arg(
        long,
        env = "ARGOCD_APPLICATIONSET_CONTROLLER_MAX_RESOURCES_STATUS_COUNT",
        value_name = "NUMBER",
        default_value_t = 5000
    )]
    max_resources_status_count: usize,
    /// Give effect to the strategy RollingSync.
    #[arg(long, env = "ARGOCD_APPLICATIONSET_CONTROLLER_ENABLE_PROGRESSIVE_SYNCS", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    enable_progressive_syncs: bool,
    /// In the patterns of git files, `*` stops at slashes and `**` does not.
    #[arg(long, env = "ARGOCD_APPLICATIONSET_CONTROLLER_ENABLE_NEW_GIT_FILE_GLOBBING", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    enable_new_git_file_globbing: bool,
    /// Ask the API server what would happen to Applications, and change none.
    #[arg(long = "applicationset-dry-run", env = "ARGOCD_APPLICATIONSET_CONTROLLER_DRY_RUN", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    applicationset_dry_run: bool,
    /// Give effect to the generators scmProvider and pullRequest.
    #[arg(long, env = "ARGOCD_APPLICATIONSET_CONTROLLER_ENABLE_SCM_PROVIDERS", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = clap::ArgAction::Set)]
    enable_scm_providers: bool,
    /// URLs that the `api` of a provider may have; by default every one. Repeatable, or separated by commas.
    #[arg(long, env = "ARGOCD_APPLICATIONSET_CONTROLLER_ALLOWED_SCM_PROVIDERS", value_name = "URLS", value_delimiter = ',')]
    allowed_scm_providers: Vec<String>,
    /// Read tokens of providers only from Secrets with the label argocd.argoproj.io/secret-type=scm-creds.
    #[arg(long, env = "ARGOCD_APPLICATIONSET_CONTROLLER_TOKENREF_STRICT_MODE", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    token_ref_strict_mode: bool,
}

impl AppsetFlags {
    /// What the flags choose. `policy_in_environment` tells whether the policy came from the environment: then ApplicationSets
    /// may not choose another one, unless that is allowed explicitly.
    #[must_use]
    pub fn options(&self, policy_in_environment: bool) -> AppsetOptions {
        AppsetOptions {
            settings: Settings {
                policy: self.policy,
                policy_override: self.enable_policy_override.unwrap_or(!policy_in_environment),
                preserved_annotations: self.preserved_annotations.clone(),
                preserved_labels: self.preserved_labels.clone(),
                budget: self.applicationset_deletion_budget.unwrap_or_default(),
            },
            requeue_after: self.applicationset_requeue_after,
            concurrent_updates: usize::from(self.concurrent_application_updates),
            max_resources: self.max_resources_status_count,
            progressive_syncs: self.enable_progressive_syncs,
            new_file_globbing: self.enable_new_git_file_globbing,
            dry_run: self.applicationset_dry_run,
            scm: ScmOptions {
                enabled: self.enable_scm_providers,
                allowed: self.allowed_scm_providers.iter().filter(|url| !url.is_empty()).cloned().collect(),
                strict_tokens: self.token_ref_strict_mode,
            },
        }
    }
}

fn parse_policy(word: &str) -> Result<Policy, String> {
    Policy::parse(word).ok_or_else(|| "known policies: create-only, create-update, create-delete, sync".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        appsets: AppsetFlags,
    }

    fn options(arguments: &[&str], policy_in_environment: bool) -> AppsetOptions {
        Flags::parse_from(std::iter::once(&"test").chain(arguments)).appsets.options(policy_in_environment)
    }

    #[test]
    fn a_policy_from_the_environment_forbids_others_unless_told_so() {
        assert!(options(&["--policy=create-only"], false).settings.policy_override, "a flag alone does not forbid");
        assert!(!options(&["--policy=create-only"], true).settings.policy_override);
        assert!(options(&["--policy=create-only", "--enable-policy-override"], true).settings.policy_override);
        assert_eq!(options(&["--policy=create-only"], false).settings.policy, Policy::CreateOnly);
    }

    #[test]
    fn defaults_are_upstreams() {
        let options = options(&[], false);
        assert_eq!((options.requeue_after, options.max_resources), (Duration::from_secs(180), 5000));
        assert!(!options.progressive_syncs && !options.new_file_globbing && !options.dry_run);
    }
}
