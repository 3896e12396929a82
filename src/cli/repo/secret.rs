//! The Secret of a repository. Pure.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::input::Fields;
use crate::source::credentials::{REPOSITORY, SECRET_TYPE, TEMPLATE, normalise};

/// What Argo CD marks its own Secrets with; it removes no others.
const MANAGED_BY: (&str, &str) = ("managed-by", "argocd.argoproj.io");

/// Where a Secret belongs and what it is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Registration<'a> {
    pub namespace: &'a str,
    pub url: &'a str,
    pub project: &'a str,
    pub is_template: bool,
}

impl Registration<'_> {
    /// Name of the Secret, the same as `argocd repo add` gives it.
    ///
    /// Source: Argo CD 3.5: FNV-1a, 32 bits, of the URL and the project.
    pub(super) fn name(&self) -> String {
        let bytes = self.url.bytes().chain(self.project.bytes());
        let hash = bytes.fold(2_166_136_261_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
        format!("{}-{hash}", if self.is_template { "creds" } else { "repo" })
    }

    /// True for the Secret of this repository, whatever its name.
    pub(super) fn is_for(&self, url: &str, project: &str, is_template: bool) -> bool {
        normalise(url) == normalise(self.url) && project == self.project && is_template == self.is_template
    }

    /// The whole Secret with its values in `data`.
    pub(super) fn secret(&self, fields: &Fields) -> Secret {
        let all = [("url", self.url), ("project", self.project)].into_iter().filter(|(_, text)| !text.is_empty());
        let all = all.chain(fields.iter().map(|(field, text)| (*field, text.reveal())));
        let metadata = k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
            name: Some(self.name()),
            namespace: Some(self.namespace.to_owned()),
            labels: Some([(SECRET_TYPE.to_owned(), self.kind().to_owned())].into()),
            annotations: Some([(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned())].into()),
            ..Default::default()
        };
        let data = all.map(|(field, text)| (field.to_owned(), ByteString(text.as_bytes().to_vec()))).collect();
        Secret { metadata, data: Some(data), type_: Some("Opaque".into()), ..Secret::default() }
    }

    fn kind(&self) -> &'static str {
        if self.is_template { TEMPLATE } else { REPOSITORY }
    }
}

/// The Secret as it would be applied.
pub(super) fn manifest(secret: &Secret) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": secret.metadata, "type": secret.type_, "data": secret.data })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::source::credentials::{Catalogue, SecretText, Trust};

    fn shop() -> Registration<'static> {
        Registration { namespace: "argocd", url: "https://git.example/shop", project: "", is_template: false }
    }

    #[test]
    fn names_are_those_of_argocd() {
        // FNV-1a, 32 bits: the published values for nothing and for `a`.
        assert_eq!(Registration { url: "", ..shop() }.name(), "repo-2166136261");
        assert_eq!(Registration { url: "a", is_template: true, ..shop() }.name(), "creds-3826002220");
        assert_ne!(Registration { project: "p", ..shop() }.name(), shop().name());
    }

    #[test]
    fn the_controller_reads_what_is_written() {
        let fields = vec![("username", SecretText::new("u".into())), ("password", SecretText::new("p".into()))];
        let catalogue = Catalogue::new([&shop().secret(&fields)], Trust::default());
        let access = catalogue.access("https://git.example/shop.git", "default").unwrap();
        assert_eq!((access.username.as_str(), access.password.reveal()), ("u", "p"));
        assert!(shop().is_for("https://git.example/SHOP.git", "", false));
        assert!(!shop().is_for("https://git.example/shop", "p", false));
    }
}
