//! What a certificate alone can tell about sealed items: very little, as the format names no key. Pure.

use jiff::Timestamp;

use super::scan::{Finding, Level, Sealed};
use crate::cli::explain::wrapped_bytes;
use crate::cli::secrets::sealed::name_of;
use crate::sealing::{Certificate, decode_base64};

/// Finds items that cannot be under the certificate's key because they are of another size, and an expired certificate.
pub fn check(sealed: &[Sealed], certificate: &Certificate, now: Timestamp) -> Vec<Finding> {
    let size = certificate.public_key().size_bytes();
    let mut findings = Vec::new();
    for one in sealed {
        let name = name_of(&one.sealed);
        let mut add = |level, code, message, hint| {
            findings.push(Finding { file: one.file.clone(), line: one.line, level, code, message, hint: Some(hint) });
        };
        let foreign: Vec<&str> = one
            .sealed
            .spec
            .encrypted_data
            .iter()
            .filter(|(_, item)| decode_base64(item).is_ok_and(|blob| wrapped_bytes(&blob) != size))
            .map(|(key, _)| key.as_str())
            .collect();
        if !foreign.is_empty() {
            let message = format!("SealedSecret {name}: sealed with another key than the certificate's: {}", foreign.join(", "));
            add(Level::Error, "other-key", message, "kubectl gitops reseal PATH --key BACKUP");
        }
        if certificate.is_expired(now) {
            let message = format!("SealedSecret {name} is compared with a certificate that has expired");
            add(Level::Warning, "certificate-expired", message, "kubectl gitops keys cert > cert.pem");
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::sealing::fixtures;

    #[test]
    fn another_size_is_another_key_and_the_same_size_proves_nothing() {
        let sealed = serde_json::from_value(fixtures::yaml("strict/sealed.yaml")).unwrap();
        let all = [Sealed { file: "f".into(), line: 1, sealed }];
        let codes = |certificate: &str, now: &str| -> Vec<&str> {
            let found = check(&all, &fixtures::certificate(certificate), now.parse().unwrap());
            found.into_iter().map(|one| one.code).collect()
        };
        assert_eq!(codes("new", "2026-11-25T00:00:00Z"), [""; 0]);
        assert_eq!(codes("small", "2026-11-25T00:00:00Z"), ["other-key"]);
        assert_eq!(codes("new", "2046-11-25T00:00:00Z"), ["certificate-expired"]);
    }
}
