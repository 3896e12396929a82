//! What a request to `/v1/verify` or `/v1/rotate` carries. Pure.

use serde_json::Value;

use crate::api::SealedSecret;
use crate::resource::yaml;

/// The one SealedSecret of a body, as JSON or YAML; `None` for everything else: several documents, another kind, no text.
///
/// Source: reference 4.1. Upstream's verify refuses several documents and its rotate drops all but the first; refusing loses nothing.
pub fn sealed_secret(body: &[u8]) -> Option<SealedSecret> {
    let mut documents = yaml::parse_stream(std::str::from_utf8(body).ok()?).ok()?.into_iter();
    let (first, None) = (documents.next()?, documents.next()) else { return None };
    let is = |field: &str, expected: &str| first.value.get(field).and_then(Value::as_str) == Some(expected);
    if !is("apiVersion", "bitnami.com/v1alpha1") || !is("kind", "SealedSecret") {
        return None;
    }
    serde_json::from_value(first.value).ok()
}

/// Who asks: the address that the API server's proxy wrote last into `X-Forwarded-For`. What stands before it came from the
/// client itself, who must not get a fresh allowance by inventing addresses.
pub fn client(forwarded_for: Option<&str>) -> &str {
    forwarded_for.and_then(|addresses| addresses.rsplit(',').next()).unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\n";

    fn reads(body: &str) -> bool {
        sealed_secret(body.as_bytes()).is_some()
    }

    #[test]
    fn one_object_in_yaml_or_json() {
        let yaml = format!("{HEAD}metadata: {{name: a}}\nspec: {{encryptedData: {{a: x}}}}\n");
        assert!(reads(&yaml) && reads(&format!("---\n{yaml}")) && reads(&format!("\u{feff}{yaml}")));
        assert!(reads(r#"{"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": {}, "spec": {}}"#));
        assert!(!reads(&format!("{yaml}---\n{yaml}")), "several");
    }

    #[test]
    fn nothing_else() {
        for body in ["", "---\n", "kind: [", "kind: SealedSecret\nspec: {}\n", "apiVersion: v1\nkind: Secret\n", "[]", HEAD] {
            assert!(!reads(body), "{body:?}");
        }
        assert!(!reads(&format!("{HEAD}spec: {{encryptedData: {{}}}}\nmetadata: 3\n")));
        assert!(sealed_secret(&[0xff, 0xfe, b'k', 0]).is_none(), "UTF-16");
        let two = r#"{"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "spec": {}}"#;
        assert!(!reads(&format!("{two}{two}")));
    }

    #[test]
    fn the_last_address_is_the_proxys_word() {
        assert_eq!(client(None), "");
        assert_eq!(client(Some("10.0.0.7")), "10.0.0.7");
        assert_eq!(client(Some("1.2.3.4, evil,  10.0.0.7 ")), "10.0.0.7");
    }
}
