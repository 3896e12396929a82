//! Which credential programs kubectl may run, as the user's kuberc says: the same must hold here, or this program is the way around.
//!
//! Source: kubectl 1.35 and later, `kubectl.config.k8s.io/v1beta1`, `credentialPluginPolicy` and `credentialPluginAllowlist`. An entry's
//! `name` became `command` in 1.36; both are read. Entry and program are looked up on the `PATH`, and must be the same file.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::resource::yaml;

/// What is read of the file; the rest is about kubectl's own commands.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Preferences {
    credential_plugin_policy: String,
    credential_plugin_allowlist: Option<Vec<Entry>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Entry {
    command: String,
    name: String,
}

/// Where the file is: the variable, else below the home folder; none when it is switched off.
#[must_use]
pub fn path(variable: Option<&OsStr>, home: Option<&Path>) -> Option<PathBuf> {
    match variable.filter(|value| !value.is_empty()) {
        Some(value) if value == "off" => None,
        Some(value) => Some(PathBuf::from(value)),
        None => home.map(|home| home.join(".kube/kuberc")).filter(|path| path.exists()),
    }
}

/// Whether a program may be run.
///
/// # Errors
/// Says why not: the policy, or a file that cannot be read, which must not pass as permission.
pub fn check(program: &str, file: &Path, lookup: impl Fn(&str) -> Option<PathBuf>) -> Result<(), String> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    let value = yaml::parse_one(&text).map_err(|error| format!("{shown}: {error}"))?;
    let preferences: Preferences = serde_json::from_value(value).map_err(|error| format!("{shown}: {error}"))?;
    let allowed = preferences.credential_plugin_allowlist;
    match preferences.credential_plugin_policy.as_str() {
        "" | "AllowAll" if allowed.is_none() => Ok(()),
        "" | "AllowAll" | "DenyAll" if allowed.is_some() => {
            Err(format!("{shown} has a credentialPluginAllowlist and another credentialPluginPolicy than Allowlist"))
        }
        "DenyAll" => Err(format!("credentialPluginPolicy in {shown} is DenyAll")),
        "Allowlist" => {
            let meant = lookup(program);
            let matches = |entry: &Entry| {
                let wanted = if entry.command.is_empty() { &entry.name } else { &entry.command };
                meant.is_some() && lookup(wanted) == meant
            };
            if allowed.unwrap_or_default().iter().any(matches) {
                Ok(())
            } else {
                Err(format!("credentialPluginAllowlist in {shown} does not name it"))
            }
        }
        other => Err(format!("credentialPluginPolicy in {shown} is {other:?}, which is none")),
    }
}

/// The file that a program's name means: itself when it is a path, else the first of the `PATH`.
#[must_use]
pub fn lookup(program: &str) -> Option<PathBuf> {
    if program.is_empty() {
        return None;
    }
    if program.contains('/') {
        return std::path::absolute(program).ok().filter(|path| path.is_file());
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn verdict(preferences: &str) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kuberc");
        std::fs::write(&file, format!("apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n{preferences}")).unwrap();
        let lookup =
            |name: &str| Some(PathBuf::from(if name.starts_with('/') { name.to_owned() } else { format!("/usr/bin/{name}") }));
        check("cloud-login", &file, lookup)
    }

    #[test]
    fn a_program_runs_only_when_the_policy_says_so() {
        for allowed in [
            "",
            "credentialPluginPolicy: AllowAll\n",
            "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: [{command: cloud-login}]\n",
            "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: [{name: other}, {name: /usr/bin/cloud-login}]\n",
        ] {
            assert_eq!(verdict(allowed), Ok(()), "{allowed}");
        }
        for refused in [
            "credentialPluginPolicy: DenyAll\n",
            "credentialPluginPolicy: Allowlist\n",
            "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: [{command: /opt/cloud-login}]\n",
            "credentialPluginAllowlist: [{command: cloud-login}]\n",
            "credentialPluginPolicy: Sometimes\n",
            "credentialPluginPolicy: [\n",
        ] {
            assert!(verdict(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn the_variable_beats_the_home_folder_and_can_switch_it_off() {
        assert_eq!(path(Some(OsStr::new("/x")), None), Some("/x".into()));
        assert_eq!(path(Some(OsStr::new("off")), Some(Path::new("/home/ann"))), None);
        assert_eq!(path(None, Some(Path::new("/nonexistent"))), None);
    }
}
