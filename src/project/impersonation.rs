//! As which ServiceAccount the objects of an Application are written. Pure.
//!
//! Source: Argo CD 3.5 (references argocd-application 6.15 and argocd-fleet 2.12).

use super::matching::glob;
use crate::api::AppProject;
use crate::api::application::ApplicationDestination;
use crate::customisation::Impersonation;

/// Why no ServiceAccount can be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoServiceAccount {
    /// The project names none for the destination.
    #[error("no matching service account found for destination server {server} and namespace {namespace}")]
    NoneMatches {
        /// Server of the destination.
        server: String,
        /// Namespace of the destination.
        namespace: String,
    },
    /// What the project says is not the name of a ServiceAccount.
    #[error("spec.destinationServiceAccounts of the project: `{name}` is not a ServiceAccount")]
    Invalid {
        /// What it says.
        name: String,
    },
}

impl crate::advice::Advice for NoServiceAccount {
    fn remedy(&self) -> crate::advice::Remedy {
        crate::advice::Remedy::FixInput
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoneMatches { .. } => {
                "add it to spec.destinationServiceAccounts of the AppProject, or set application.sync.impersonation.enforced to false in argocd-cm".into()
            }
            Self::Invalid { .. } => "write `name` or `namespace:name`".into(),
        })
    }
}

/// Characters that no ServiceAccount has; they would be taken for patterns elsewhere.
const FORBIDDEN: &[char] = &['!', '*', '[', ']', '{', '}', '\\', '/'];

/// The user to act as; `None` for the controller itself. `destination` carries the resolved server.
///
/// # Errors
/// When impersonation is enforced and no entry of the project matches, or the first that does is not usable.
pub fn acts_as(
    settings: Impersonation,
    project: &AppProject,
    destination: &ApplicationDestination,
    app_namespace: &str,
) -> Result<Option<String>, NoServiceAccount> {
    if !settings.enabled {
        return Ok(None);
    }
    let matching =
        project.spec.destination_service_accounts.iter().find(|entry| {
            glob(&entry.server, &destination.server, false) && glob(&entry.namespace, &destination.namespace, false)
        });
    let Some(entry) = matching else {
        let (server, namespace) = (destination.server.clone(), destination.namespace.clone());
        return if settings.enforced { Err(NoServiceAccount::NoneMatches { server, namespace }) } else { Ok(None) };
    };
    let written = entry.default_service_account.trim();
    let own = if destination.namespace.is_empty() { app_namespace } else { &destination.namespace };
    let (namespace, name) = written.split_once(':').unwrap_or((own, written));
    let usable = |text: &str| !text.is_empty() && !text.contains(FORBIDDEN) && !text.contains(':');
    if !usable(name) || !usable(namespace) {
        return Err(NoServiceAccount::Invalid { name: written.to_owned() });
    }
    Ok(Some(format!("system:serviceaccount:{namespace}:{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::appproject::DestinationServiceAccount;

    const ON: Impersonation = Impersonation { enabled: true, enforced: true };

    fn told(
        settings: Impersonation,
        entries: &[(&str, &str, &str)],
        namespace: &str,
    ) -> Result<Option<String>, NoServiceAccount> {
        let mut project = AppProject::default();
        project.spec.destination_service_accounts = entries
            .iter()
            .map(|(server, namespace, name)| DestinationServiceAccount {
                server: (*server).into(),
                namespace: (*namespace).into(),
                default_service_account: (*name).into(),
            })
            .collect();
        let destination = ApplicationDestination { server: "https://a".into(), name: String::new(), namespace: namespace.into() };
        acts_as(settings, &project, &destination, "argocd")
    }

    fn user(text: &str) -> Result<Option<String>, NoServiceAccount> {
        Ok(Some(format!("system:serviceaccount:{text}")))
    }

    #[test]
    fn the_first_entry_that_matches_names_the_user() {
        let entries = [("https://b", "*", "no"), ("*", "team-*", "deployer"), ("https://a", "*", "ops:any")];
        assert_eq!(told(ON, &entries, "team-x"), user("team-x:deployer"));
        assert_eq!(told(ON, &entries, "prod"), user("ops:any"));
        assert_eq!(told(ON, &[("*", "*", "deployer")], ""), user("argocd:deployer"));
        assert_eq!(told(Impersonation { enabled: false, ..ON }, &entries, "prod"), Ok(None));
    }

    #[test]
    fn without_a_match_only_who_is_not_enforced_acts_as_itself() {
        let text = "no matching service account found for destination server https://a and namespace prod";
        assert_eq!(told(ON, &[], "prod").map_err(|error| error.to_string()), Err(text.to_owned()));
        assert_eq!(told(Impersonation { enforced: false, ..ON }, &[], "prod"), Ok(None));
        for odd in ["", " ", "*", "a:b:c", "a/b", ":name", "ns:"] {
            let told = told(ON, &[("*", "*", odd)], "prod");
            assert_eq!(told, Err(NoServiceAccount::Invalid { name: odd.trim().into() }), "{odd}");
        }
    }
}
