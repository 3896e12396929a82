//! The fields of one Secret.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;

use super::access::{Access, ClientCertificate, GithubApp, Kind};
use super::{CredentialError, SecretText};

/// The label that says what a Secret is about.
pub const SECRET_TYPE: &str = "argocd.argoproj.io/secret-type";
/// Its value for one repository.
pub const REPOSITORY: &str = "repository";
/// Its value for all repositories whose URL begins alike.
pub const TEMPLATE: &str = "repo-creds";

/// Ways to log in that are not built. The spelling of the same field differs between the two kinds of Secrets.
const UNSUPPORTED_TEXTS: &[&str] = &[
    "gcpServiceAccountKey",
    "azureServicePrincipalClientSecret",
    "azureServicePrincipalClientId",
    "azureServicePrincipalClientID",
];
const UNSUPPORTED_SWITCH: &str = "useAzureWorkloadIdentity";

/// Reads the fields of one Secret.
struct Fields<'a> {
    secret: &'a str,
    data: BTreeMap<&'a str, &'a [u8]>,
}

/// Which of the two kinds of Secrets this is; `None` for any other.
pub(super) fn kind_of(secret: &Secret) -> Option<&'static str> {
    let kind = secret.metadata.labels.as_ref()?.get(SECRET_TYPE)?;
    [REPOSITORY, TEMPLATE].into_iter().find(|known| known == kind)
}

/// The text of one field; empty when it is missing or no text.
pub(super) fn text_of(secret: &Secret, field: &str) -> String {
    let value = secret.data.as_ref().and_then(|data| data.get(field));
    value.and_then(|value| std::str::from_utf8(&value.0).ok()).map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// Reads what a Secret says about reaching its repositories.
///
/// # Errors
/// The first field that cannot be read.
pub(super) fn access(secret: &Secret) -> Result<Access, CredentialError> {
    let name = secret.metadata.name.as_deref().unwrap_or_default();
    let data = secret.data.iter().flatten().map(|(field, value)| (field.as_str(), value.0.as_slice())).collect();
    let fields = Fields { secret: name, data };
    Ok(Access {
        secret: Some(name.to_owned()),
        template: None,
        kind: fields.kind()?,
        username: fields.text("username")?,
        password: fields.secret("password")?,
        bearer_token: fields.secret("bearerToken")?,
        ssh_private_key: fields.secret("sshPrivateKey")?,
        github_app: fields.github_app()?,
        client_certificate: fields.client_certificate()?,
        unsupported: fields.unsupported()?,
        insecure: fields.switch("insecure")? | fields.switch("insecureIgnoreHostKey")?,
        enable_lfs: fields.switch("enableLfs")?,
        enable_oci: fields.switch("enableOCI")?,
        insecure_oci_force_http: fields.switch("insecureOCIForceHttp")?,
        force_http_basic_auth: fields.switch("forceHttpBasicAuth")?,
        depth: fields.number("depth")?.and_then(|depth| u32::try_from(depth).ok()).filter(|depth| *depth > 0),
        proxy: fields.secret("proxy")?,
        no_proxy: fields.text("noProxy")?,
        certificates: None,
        known_hosts: None,
    })
}

impl Fields<'_> {
    fn bad(&self, field: &str, expected: &'static str) -> CredentialError {
        CredentialError::BadValue { secret: self.secret.to_owned(), field: field.to_owned(), expected }
    }

    fn raw(&self, field: &str) -> Result<&str, CredentialError> {
        let bytes = self.data.get(field).copied().unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| self.bad(field, "text"))
    }

    fn text(&self, field: &str) -> Result<String, CredentialError> {
        Ok(self.raw(field)?.trim().to_owned())
    }

    /// A trailing line end is what `echo token | base64` leaves; it belongs to no password, and a header must not hold one.
    fn secret(&self, field: &str) -> Result<SecretText, CredentialError> {
        Ok(SecretText::new(self.raw(field)?.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// Source: what Go takes for a boolean; nothing at all is false.
    fn switch(&self, field: &str) -> Result<bool, CredentialError> {
        match self.raw(field)? {
            "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            _ => Err(self.bad(field, "`true` or `false`")),
        }
    }

    fn number(&self, field: &str) -> Result<Option<i64>, CredentialError> {
        let text = self.raw(field)?;
        if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|_| self.bad(field, "a whole number")) }
    }

    fn kind(&self) -> Result<Option<Kind>, CredentialError> {
        match self.text("type")?.as_str() {
            "" => Ok(None),
            "git" => Ok(Some(Kind::Git)),
            "helm" => Ok(Some(Kind::Helm)),
            "oci" => Ok(Some(Kind::Oci)),
            _ => Err(self.bad("type", "`git`, `helm` or `oci`")),
        }
    }

    fn github_app(&self) -> Result<Option<GithubApp>, CredentialError> {
        let private_key = self.secret("githubAppPrivateKey")?;
        if private_key.is_empty() {
            return Ok(None);
        }
        let missing = || CredentialError::Incomplete {
            secret: self.secret.to_owned(),
            field: "githubAppPrivateKey",
            missing: "githubAppID",
        };
        Ok(Some(GithubApp {
            id: self.number("githubAppID")?.filter(|id| *id != 0).ok_or_else(missing)?,
            installation_id: self.number("githubAppInstallationID")?.filter(|id| *id != 0),
            private_key,
            base_url: Some(self.text("githubAppEnterpriseBaseUrl")?).filter(|url| !url.is_empty()),
        }))
    }

    fn client_certificate(&self) -> Result<Option<ClientCertificate>, CredentialError> {
        let (certificate, key) = (self.secret("tlsClientCertData")?, self.secret("tlsClientCertKey")?);
        let incomplete = |field, missing| CredentialError::Incomplete { secret: self.secret.to_owned(), field, missing };
        match (certificate.is_empty(), key.is_empty()) {
            (true, true) => Ok(None),
            (false, false) => Ok(Some(ClientCertificate { certificate, key })),
            (false, true) => Err(incomplete("tlsClientCertData", "tlsClientCertKey")),
            (true, false) => Err(incomplete("tlsClientCertKey", "tlsClientCertData")),
        }
    }

    fn unsupported(&self) -> Result<Option<&'static str>, CredentialError> {
        for field in UNSUPPORTED_TEXTS {
            if !self.raw(field)?.is_empty() {
                return Ok(Some(field));
            }
        }
        Ok(self.switch(UNSUPPORTED_SWITCH)?.then_some(UNSUPPORTED_SWITCH))
    }
}
