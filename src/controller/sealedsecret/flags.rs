//! The flags of Sealed Secrets' controller, with its names, defaults and environment variables, so that an installation's
//! arguments carry over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::SealingOptions;
use crate::keys::policy::{self, KeyOrder, KeyPolicy};

/// Flags about sealing.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sealing")]
pub struct SealingFlags {
    /// Open SealedSecrets in this namespace only, for installations without rights in the others.
    #[arg(long)]
    sealing_namespace: Option<String>,
    /// Open SealedSecrets in all namespaces; false means in the control namespace only.
    #[arg(long, env = "SEALED_SECRETS_ALL_NAMESPACES", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = clap::ArgAction::Set)]
    all_namespaces: bool,
    /// Open SealedSecrets in the control namespace and in these only, whatever --all-namespaces says: name,name. Each needs a
    /// RoleBinding to the ClusterRole gitops-controller-sealing; one without, or one that is made later, is used as soon as it can be.
    #[arg(long, env = "SEALED_SECRETS_ADDITIONAL_NAMESPACES", value_name = "NAMESPACES", value_parser = parse_namespaces)]
    additional_namespaces: Option<Namespaces>,
    /// Open only SealedSecrets with such labels.
    #[arg(long, env = "SEALED_SECRETS_LABEL_SELECTOR", value_name = "SELECTOR")]
    label_selector: Option<String>,
    /// Write the status of SealedSecrets.
    #[arg(long, env = "SEALED_SECRETS_UPDATE_STATUS", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = clap::ArgAction::Set)]
    update_status: bool,
    /// Leave Secrets that people change or delete as they are until their SealedSecret changes.
    #[arg(long, env = "SEALED_SECRETS_SKIP_RECREATE", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    skip_recreate: bool,
    /// Open the old format that keeps a whole object in spec.data.
    #[arg(long, env = "SEALED_SECRETS_ACCEPT_DEPRECATED_V1_DATA", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = clap::ArgAction::Set)]
    accept_deprecated_v1_data: bool,
    /// Also use the sealing keys of this namespace, and make new ones there once the active key is one of them. Repeatable; empty
    /// for none. By default kube-system, where Sealed Secrets keeps its keys.
    #[arg(long = "key-namespace", value_name = "NAMESPACE", default_value = "kube-system")]
    key_namespaces: Vec<String>,
    /// Beginning of the name of a new key's Secret.
    #[arg(long, env = "SEALED_SECRETS_KEY_PREFIX", default_value = "sealed-secrets-key", value_parser = policy::parse_prefix)]
    key_prefix: String,
    /// Bits of a new key.
    #[arg(long, env = "SEALED_SECRETS_KEY_SIZE", default_value = "4096", value_parser = policy::parse_bits)]
    key_size: u16,
    /// Validity of a new certificate.
    #[arg(long, env = "SEALED_SECRETS_KEY_TTL", value_name = "DURATION", default_value = "87600h", value_parser = policy::parse_period)]
    key_ttl: Duration,
    /// Common name in a new certificate.
    #[arg(long, env = "SEALED_SECRETS_MY_CN", default_value = "")]
    my_cn: String,
    /// Age of the active key at which a new one is made; 0 for never. Old keys keep opening.
    #[arg(long, alias = "rotate-period", env = "SEALED_SECRETS_KEY_RENEW_PERIOD", value_name = "DURATION", default_value = "720h", value_parser = policy::parse_period)]
    key_renew_period: Duration,
    /// What makes a key newer: CertNotBefore or SecretCreationTimestamp.
    #[arg(long, env = "SEALED_SECRETS_KEY_ORDER_PRIORITY", value_name = "ORDER", default_value = "CertNotBefore", value_parser = parse_order)]
    key_order_priority: KeyOrder,
    /// Make a new key if the active one is from before this time, written as `date -R` does.
    #[arg(long, env = "SEALED_SECRETS_KEY_CUTOFF_TIME", value_name = "TIME", value_parser = policy::parse_cutoff)]
    key_cutoff_time: Option<Timestamp>,
    /// Annotations of new key Secrets: name=value,name=value.
    #[arg(long, env = "SEALED_SECRETS_PRIVATEKEY_ANNOTATIONS", value_name = "PAIRS", value_parser = parse_pairs)]
    privatekey_annotations: Option<Pairs>,
    /// Labels of new key Secrets: name=value,name=value.
    #[arg(long, env = "SEALED_SECRETS_PRIVATEKEY_LABELS", value_name = "PAIRS", value_parser = parse_pairs)]
    privatekey_labels: Option<Pairs>,
    /// Keep a backup of the keys in the cluster, encrypted for this public key of age. Repeatable.
    #[arg(long = "backup-recipient", value_name = "AGE1...")]
    backup_recipients: Vec<String>,

    /// Keys are always watched.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    watch_for_secrets: Option<bool>,
    /// Kubernetes removes the Secret of a deleted SealedSecret.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    old_gc_behavior: Option<bool>,
    /// Attempts never end.
    #[arg(long, hide = true)]
    max_unseal_retries: Option<String>,
    /// The API server's own fairness limits requests.
    #[arg(long, hide = true, allow_hyphen_values = true)]
    kubeclient_qps: Option<String>,
    /// See `kubeclient_qps`.
    #[arg(long, hide = true, allow_hyphen_values = true)]
    kubeclient_burst: Option<String>,
    /// Logs go to stderr.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    log_info_stdout: Option<bool>,
    /// Metrics are served beside everything else.
    #[arg(long, hide = true)]
    listen_metrics_addr: Option<String>,
    /// A client that stops sending is cut off after two minutes, upstream's default.
    #[arg(long, hide = true)]
    read_timeout: Option<String>,
    /// See `read_timeout`.
    #[arg(long, hide = true)]
    write_timeout: Option<String>,
}

/// `name=value` pairs; a type of its own, because a bare map would be read as a list of flags.
#[derive(Debug, Clone, Default)]
struct Pairs(BTreeMap<String, String>);

fn parse_pairs(text: &str) -> Result<Pairs, String> {
    policy::parse_pairs(text).map(Pairs)
}

/// Names of namespaces; a type of its own for the same reason as [`Pairs`].
#[derive(Debug, Clone, Default)]
struct Namespaces(Vec<String>);

/// As upstream, spaces and empty parts do not count.
fn parse_namespaces(text: &str) -> Result<Namespaces, String> {
    let names: Vec<String> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let is_label = |name: &str| {
        let inner = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        inner && name.len() <= 63 && !name.starts_with('-') && !name.ends_with('-')
    };
    match names.iter().find(|name| !is_label(name)) {
        Some(name) => Err(format!("{name:?} cannot be the name of a namespace; write them like team-a,team-b")),
        None => Ok(Namespaces(names)),
    }
}

fn parse_order(text: &str) -> Result<KeyOrder, String> {
    match text {
        "CertNotBefore" => Ok(KeyOrder::CertNotBefore),
        "SecretCreationTimestamp" => Ok(KeyOrder::SecretCreationTimestamp),
        _ => Err("it is CertNotBefore or SecretCreationTimestamp".to_owned()),
    }
}

impl SealingFlags {
    /// Flags that were given and change nothing here, with why.
    #[must_use]
    pub fn without_effect(&self) -> Vec<&'static str> {
        let given = [
            (self.watch_for_secrets.is_some(), "--watch-for-secrets: keys are always watched"),
            (self.old_gc_behavior == Some(true), "--old-gc-behavior: Kubernetes removes the Secret of a deleted SealedSecret"),
            (self.max_unseal_retries.is_some(), "--max-unseal-retries: attempts go on with a growing wait"),
            (self.kubeclient_qps.is_some(), "--kubeclient-qps: the API server limits requests"),
            (self.kubeclient_burst.is_some(), "--kubeclient-burst: the API server limits requests"),
            (self.log_info_stdout.is_some(), "--log-info-stdout: logs go to stderr"),
            (self.read_timeout.is_some(), "--read-timeout: it is two minutes"),
            (self.write_timeout.is_some(), "--write-timeout: it is two minutes"),
            (self.listen_metrics_addr.is_some(), "--listen-metrics-addr: metrics are at --listen-address"),
        ];
        given.into_iter().filter_map(|(is_given, text)| is_given.then_some(text)).collect()
    }

    /// The options of a controller with this control namespace, which is `identity` among several.
    #[must_use]
    pub fn options(self, control_namespace: &str, identity: String) -> SealingOptions {
        let additional = self.additional_namespaces.unwrap_or_default().0;
        let own = (!self.all_namespaces || !additional.is_empty()).then(|| control_namespace.to_owned());
        let namespaces: BTreeSet<String> = self.sealing_namespace.or(own).into_iter().chain(additional).collect();
        SealingOptions {
            namespaces: namespaces.into_iter().collect(),
            label_selector: self.label_selector.filter(|selector| !selector.is_empty()),
            update_status: self.update_status,
            heal: !self.skip_recreate,
            accept_whole_objects: self.accept_deprecated_v1_data,
            other_key_namespaces: self.key_namespaces.into_iter().filter(|namespace| !namespace.is_empty()).collect(),
            backup_recipients: self.backup_recipients,
            identity,
            key_policy: KeyPolicy {
                prefix: self.key_prefix,
                bits: self.key_size,
                lifetime: self.key_ttl,
                common_name: self.my_cn,
                renew_after: Some(self.key_renew_period).filter(|period| !period.is_zero()),
                order: self.key_order_priority,
                cutoff: self.key_cutoff_time,
                annotations: self.privatekey_annotations.unwrap_or_default().0,
                labels: self.privatekey_labels.unwrap_or_default().0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        sealing: SealingFlags,
    }

    fn flags(arguments: &[&str]) -> Result<SealingFlags, String> {
        let arguments = std::iter::once(&"gitops-controller").chain(arguments);
        Program::try_parse_from(arguments).map(|program| program.sealing).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_upstreams() {
        let options = flags(&[]).unwrap().options("argocd", "a".into());
        assert_eq!(options.key_policy, KeyPolicy::default());
        assert_eq!((options.namespaces, options.label_selector), (Vec::new(), None));
        assert!(options.update_status && options.heal && options.accept_whole_objects);
        assert_eq!(options.other_key_namespaces, ["kube-system"]);
    }

    #[test]
    fn arguments_of_the_original_chart_carry_over() {
        let given = flags(&[
            "--key-prefix",
            "team-keys",
            "--rotate-period=0",
            "--update-status=false",
            "--skip-recreate",
            "--all-namespaces=false",
            "--watch-for-secrets",
            "--kubeclient-qps=-1",
            "--read-timeout=2m",
            "--privatekey-labels=team=a",
        ])
        .unwrap();
        assert_eq!(given.without_effect().len(), 3);
        let options = given.options("argocd", "a".into());
        assert_eq!(options.key_policy.prefix, "team-keys");
        assert_eq!(options.key_policy.renew_after, None);
        assert_eq!(options.key_policy.labels["team"], "a");
        assert_eq!(options.namespaces, ["argocd"]);
        assert!(!options.update_status && !options.heal);
    }

    #[test]
    fn additional_namespaces_are_beside_the_own_one_whatever_all_namespaces_says() {
        let namespaces = |arguments: &[&str]| flags(arguments).unwrap().options("argocd", "a".into()).namespaces;
        assert_eq!(namespaces(&["--additional-namespaces", "web, shop,,web"]), ["argocd", "shop", "web"]);
        assert_eq!(namespaces(&["--all-namespaces=true", "--additional-namespaces=web"]), ["argocd", "web"]);
        assert_eq!(namespaces(&["--sealing-namespace=shop", "--additional-namespaces=web"]), ["shop", "web"]);
        assert!(namespaces(&["--additional-namespaces="]).is_empty(), "the chart's default means all");
    }

    #[test]
    fn a_value_that_cannot_be_read_is_an_error_that_names_its_flag() {
        for (argument, text) in [
            ("--key-renew-period=30d", "--key-renew-period"),
            ("--key-size=1000", "2048"),
            ("--key-cutoff-time=yesterday", "date -R"),
            ("--update-status=yes", "--update-status"),
            ("--privatekey-annotations=a=b,", "name=value"),
            ("--additional-namespaces=web;shop", "\"web;shop\" cannot be the name of a namespace"),
        ] {
            let error = flags(&[argument]).unwrap_err();
            assert!(error.contains(text), "{argument}: {error}");
        }
    }
}
