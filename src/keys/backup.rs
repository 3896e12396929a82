//! Encrypted backups of the keys.
//!
//! A backup is an age file. Its plaintext is a `List` of the key Secrets in YAML, so that the last resort needs neither this
//! program nor a running controller: `age -d backup.age | kubectl apply -f -`.

use std::io::{Read as _, Write as _};

use age::secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::KeySecret;
use crate::advice::{Advice, Remedy};
use crate::resource::yaml;
use crate::sealing;

/// Larger backups are refused when read: ten years of monthly keys are 1 MB.
pub const MAX_BACKUP_BYTES: u64 = 16 << 20;

/// What a backup is encrypted with.
pub enum Lock {
    /// Public keys (`age1…`); any of their identities opens it.
    Recipients(Vec<age::x25519::Recipient>),
    /// A passphrase.
    Passphrase(SecretString),
}

/// What a backup is opened with.
pub enum Unlock {
    /// The text of an identity file (`AGE-SECRET-KEY-1…`).
    Identities(Zeroizing<String>),
    /// A passphrase.
    Passphrase(SecretString),
}

/// Why a backup cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A recipient is not one.
    #[error("recipient {shown} is not an age public key")]
    BadRecipient {
        /// As given; but a private key given by mistake is not repeated.
        shown: String,
    },
    /// There is no identity in the identity file.
    #[error("the identity file holds no age identity")]
    NoIdentity,
    /// age could not encrypt.
    #[error("cannot encrypt the backup")]
    Encrypt(#[source] std::io::Error),
    /// The file is not an age file.
    #[error("the backup is not an age file")]
    NotAge,
    /// It was encrypted for others.
    #[error("none of the given identities opens the backup")]
    WrongIdentity,
    /// The passphrase is not the right one.
    #[error("the passphrase does not open the backup")]
    WrongPassphrase,
    /// It needs a passphrase and got an identity, or the other way round.
    #[error("the backup is locked with {locked_with}")]
    OtherLock {
        /// What it is locked with.
        locked_with: &'static str,
    },
    /// The content was cut off or changed.
    #[error("the backup is damaged")]
    Damaged,
    /// It opens, but there are no keys in it.
    #[error("the backup opens, but does not hold a list of key Secrets: {problem}")]
    NotKeys {
        /// What is wrong.
        problem: String,
    },
}

impl Advice for BackupError {
    fn remedy(&self) -> Remedy {
        match self {
            Self::Encrypt(_) => Remedy::ReportBug,
            _ => Remedy::FixInput,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::BadRecipient { .. } => "make a key pair with `age-keygen -o identity.txt`; its public key begins with age1",
            Self::NoIdentity => "an identity begins with AGE-SECRET-KEY-1; age-keygen writes it",
            Self::WrongIdentity => {
                "--identity FILE with the identity of one of the backup's recipients, or --share FILE for each share"
            }
            Self::OtherLock { locked_with: "a passphrase" } => "--passphrase-file FILE",
            Self::OtherLock { .. } => "--identity FILE",
            Self::NotAge | Self::Damaged => "copy it again from where backups are kept; it must be binary or armored age",
            Self::NotKeys { .. } => "was it made by `kubectl gitops keys backup`?",
            Self::WrongPassphrase | Self::Encrypt(_) => return None,
        };
        Some(hint.to_owned())
    }
}

/// Reads recipients as they are given on the command line.
///
/// # Errors
/// Names the first that is not an age public key.
pub fn recipients(texts: &[String]) -> Result<Vec<age::x25519::Recipient>, BackupError> {
    texts.iter().map(|text| text.trim().parse().map_err(|_| BackupError::BadRecipient { shown: shown(text) })).collect()
}

fn shown(recipient: &str) -> String {
    if recipient.to_ascii_uppercase().contains("SECRET-KEY") { "(a private key)".to_owned() } else { format!("{recipient:?}") }
}

/// Writes the plaintext of a backup.
#[must_use]
pub fn to_list(secrets: &[KeySecret]) -> Zeroizing<String> {
    let items = secrets.iter().map(|secret| serde_json::to_value(secret.for_backup()).unwrap_or_default()).collect::<Vec<_>>();
    let mut list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    let text = Zeroizing::new(yaml::to_yaml(&list));
    sealing::wipe(&mut list);
    text
}

/// Reads the plaintext of a backup. Takes what `kubectl get secrets -o yaml` and Sealed Secrets' own runbook write as well: a
/// list, and single Secrets behind it.
///
/// # Errors
/// When the text is not YAML or holds no Secret.
pub fn from_list(text: &str) -> Result<Vec<KeySecret>, BackupError> {
    let bad = |problem: String| BackupError::NotKeys { problem };
    let mut secrets = Vec::new();
    for document in yaml::parse_stream(text).map_err(|error| bad(error.to_string()))? {
        let mut value = document.value;
        let items = match value.get_mut("items") {
            Some(Value::Array(items)) => std::mem::take(items),
            _ => vec![value],
        };
        for item in items {
            if item.get("kind").and_then(Value::as_str) == Some("Secret") {
                secrets.push(serde_json::from_value(item).map_err(|error| bad(error.to_string()))?);
            }
        }
    }
    if secrets.is_empty() { Err(bad("no Secret in it".to_owned())) } else { Ok(secrets) }
}

/// Encrypts a backup, as ASCII when `armored`. A passphrase costs about a second on purpose.
///
/// # Errors
/// When age refuses, for want of a recipient for example.
pub fn encrypt(plaintext: &str, lock: Lock, armored: bool) -> Result<Vec<u8>, BackupError> {
    let other = |error: age::EncryptError| BackupError::Encrypt(std::io::Error::other(error.to_string()));
    let encryptor = match lock {
        Lock::Passphrase(passphrase) => age::Encryptor::with_user_passphrase(passphrase),
        Lock::Recipients(recipients) => {
            age::Encryptor::with_recipients(recipients.iter().map(|recipient| recipient as &dyn age::Recipient)).map_err(other)?
        }
    };
    write(plaintext, encryptor, armored).map_err(BackupError::Encrypt)
}

fn write(plaintext: &str, encryptor: age::Encryptor, armored: bool) -> std::io::Result<Vec<u8>> {
    let format = if armored { age::armor::Format::AsciiArmor } else { age::armor::Format::Binary };
    let armor = age::armor::ArmoredWriter::wrap_output(Vec::new(), format)?;
    let mut writer = encryptor.wrap_output(armor)?;
    writer.write_all(plaintext.as_bytes())?;
    writer.finish()?.finish()
}

/// Decrypts a backup.
///
/// # Errors
/// When it is damaged, or what was given does not open it.
pub fn decrypt(file: &[u8], unlock: Unlock) -> Result<Zeroizing<String>, BackupError> {
    let unreadable = |_| if is_age(file) { BackupError::Damaged } else { BackupError::NotAge };
    let decryptor = age::Decryptor::new_buffered(age::armor::ArmoredReader::new(file)).map_err(unreadable)?;
    let identities: Vec<Box<dyn age::Identity>> = match unlock {
        Unlock::Passphrase(_) if !decryptor.is_scrypt() => return Err(BackupError::OtherLock { locked_with: "public keys" }),
        Unlock::Identities(_) if decryptor.is_scrypt() => return Err(BackupError::OtherLock { locked_with: "a passphrase" }),
        Unlock::Passphrase(passphrase) => vec![Box::new(age::scrypt::Identity::new(passphrase))],
        Unlock::Identities(text) => identities(&text)?,
    };
    let locked_with_passphrase = decryptor.is_scrypt();
    let mut reader = decryptor.decrypt(identities.iter().map(AsRef::as_ref)).map_err(|error| match error {
        age::DecryptError::NoMatchingKeys | age::DecryptError::DecryptionFailed | age::DecryptError::KeyDecryptionFailed
            if locked_with_passphrase =>
        {
            BackupError::WrongPassphrase
        }
        age::DecryptError::NoMatchingKeys => BackupError::WrongIdentity,
        _ => BackupError::Damaged,
    })?;
    // Sized beforehand: a growing buffer would leave unwiped copies behind.
    let mut plaintext = Zeroizing::new(String::with_capacity(file.len()));
    reader.read_to_string(&mut plaintext).map_err(|_| BackupError::Damaged)?;
    Ok(plaintext)
}

/// Whether a file begins as an age file does, binary or armored.
#[must_use]
pub fn is_age(file: &[u8]) -> bool {
    [&b"age-encryption.org/"[..], b"-----BEGIN AGE ENCRYPTED FILE-----"]
        .iter()
        .any(|start| file.trim_ascii_start().starts_with(start))
}

fn identities(text: &str) -> Result<Vec<Box<dyn age::Identity>>, BackupError> {
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with("AGE-SECRET-KEY-1"));
    let found =
        lines.map(|line| line.parse::<age::x25519::Identity>().map(|identity| Box::new(identity) as Box<dyn age::Identity>));
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|_| BackupError::NoIdentity)?;
    if found.is_empty() { Err(BackupError::NoIdentity) } else { Ok(found) }
}

/// Names a backup file: `sha256:` and the digest of its bytes.
#[must_use]
pub fn fingerprint(file: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(file)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const SECRETS: &str = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: a, namespace: argocd, uid: x, \
                           resourceVersion: '7', labels: {sealedsecrets.bitnami.com/sealed-secrets-key: active}, annotations: \
                           {kubectl-gitops.io/last-backup: now, note: 'yes'}}\n  type: kubernetes.io/tls\n  data: {tls.key: bWFya2Vy, tls.crt: YQ==}\n";

    fn identity() -> (age::x25519::Recipient, Zeroizing<String>) {
        use age::secrecy::ExposeSecret as _;
        let identity = age::x25519::Identity::generate();
        (identity.to_public(), Zeroizing::new(format!("# a comment\n{}\n", identity.to_string().expose_secret())))
    }

    #[test]
    fn a_backup_opens_with_any_of_its_identities_and_no_other() {
        let ((one, identity_one), (two, identity_two), (_, stranger)) = (identity(), identity(), identity());
        for armored in [false, true] {
            let file = encrypt("marker", Lock::Recipients(vec![one.clone(), two.clone()]), armored).unwrap();
            assert_eq!(file.starts_with(b"-----BEGIN AGE"), armored);
            assert!(!file.windows(6).any(|window| window == b"marker"));
            for identity in [&identity_one, &identity_two] {
                assert_eq!(*decrypt(&file, Unlock::Identities(identity.clone())).unwrap(), "marker");
            }
            let refused = decrypt(&file, Unlock::Identities(stranger.clone())).unwrap_err();
            assert!(matches!(refused, BackupError::WrongIdentity), "{refused}");
        }
    }

    #[test]
    fn a_damaged_backup_is_told_from_a_foreign_file() {
        let (recipient, identity) = identity();
        let mut file = encrypt("marker", Lock::Recipients(vec![recipient]), false).unwrap();
        *file.last_mut().unwrap() ^= 1;
        assert!(matches!(decrypt(&file, Unlock::Identities(identity.clone())), Err(BackupError::Damaged)));
        for length in [30, 100, file.len() - 20] {
            let cut = decrypt(&file[..length], Unlock::Identities(identity.clone())).unwrap_err();
            assert!(matches!(cut, BackupError::Damaged), "{length}: {cut}");
        }
        assert!(matches!(decrypt(b"apiVersion: v1", Unlock::Identities(identity)), Err(BackupError::NotAge)));
    }

    #[test]
    fn the_wrong_kind_of_lock_is_named() {
        let (recipient, _) = identity();
        let file = encrypt("x", Lock::Recipients(vec![recipient]), false).unwrap();
        let error = decrypt(&file, Unlock::Passphrase("x".to_owned().into())).unwrap_err();
        assert_eq!(error.to_string(), "the backup is locked with public keys");
        assert_eq!(error.hint().as_deref(), Some("--identity FILE"));
    }

    #[test]
    fn a_list_keeps_what_a_restore_needs_and_nothing_of_the_old_cluster() {
        let secrets = from_list(SECRETS).unwrap();
        let text = to_list(&secrets);
        let value = yaml::parse_one(&text).unwrap();
        let expected = json!({"apiVersion": "v1", "kind": "List", "items": [{
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "data": {"tls.key": "bWFya2Vy", "tls.crt": "YQ=="},
            "metadata": {"name": "a", "namespace": "argocd", "labels": {"sealedsecrets.bitnami.com/sealed-secrets-key": "active"}, "annotations": {"note": "yes"}},
        }]});
        assert_eq!(value, expected);
        assert_eq!(from_list(&text).unwrap().len(), 1);
    }

    #[test]
    fn the_runbook_of_sealed_secrets_writes_a_list_and_a_single_secret_behind_it() {
        let text = format!("{SECRETS}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: sealed-secrets-key}}\n");
        let names: Vec<_> = from_list(&text).unwrap().iter().map(|secret| secret.name().to_owned()).collect();
        assert_eq!(names, ["a", "sealed-secrets-key"]);
        assert!(matches!(from_list("kind: List\nitems: []\n"), Err(BackupError::NotKeys { .. })));
    }

    #[test]
    fn a_private_key_given_as_recipient_is_not_repeated() {
        let error = recipients(&["AGE-SECRET-KEY-1MARKER".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "recipient (a private key) is not an age public key");
    }

    #[test]
    fn nothing_prints_key_material() {
        let secrets = from_list(SECRETS).unwrap();
        let shown = format!("{secrets:?} {:?}", secrets[0].read());
        assert!(!shown.contains("bWFya2Vy") && !shown.contains("marker"), "{shown}");
    }
}
