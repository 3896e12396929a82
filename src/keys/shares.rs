//! The key to a backup, divided among people: any k of n shares open it, fewer say nothing about it.
//!
//! What is divided is the text of a fresh age identity (Shamir's scheme over GF(256), byte by byte), so that `age --decrypt` can do
//! the rest once the shares are combined. A share is a small text file that explains itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use age::secrecy::ExposeSecret as _;
use blahaj::{Share as Part, Sharks};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::advice::{Advice, Remedy};
use crate::sealing::{decode_base64, encode_base64};

/// First line of a share behind its comments. The number rises when older programs cannot read the new form.
const HEADER: &str = "kubectl-gitops-key-share/";
const VERSION: &str = "v1";

/// How many shares there are, and how many of them are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    /// Shares that open the backup.
    pub threshold: u8,
    /// Shares that are made.
    pub total: u8,
}

impl Scheme {
    /// Reads `3/5`.
    ///
    /// # Errors
    /// Says what it must look like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(k, n)| Some((k.trim().parse().ok()?, n.trim().parse().ok()?)));
        match numbers {
            Some((threshold, total)) if (2..=total).contains(&threshold) => Ok(Self { threshold, total }),
            Some(_) => Err("at least 2 shares must be needed, and not more than there are (255 at most)".to_owned()),
            None => Err("write it like 3/5: 3 shares of 5 open the backup".to_owned()),
        }
    }
}

/// Why shares cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// The text is something else.
    #[error("it is not a share of a backup's key")]
    NotAShare,
    /// The text comes from a newer program.
    #[error("it has the form {found:?}, and this program reads {VERSION:?}")]
    OtherVersion {
        /// The form.
        found: String,
    },
    /// The checksum does not fit.
    #[error("the share is damaged: its checksum does not fit")]
    Damaged,
    /// Not enough of them.
    #[error("{given} of the {needed} shares that are needed were given")]
    TooFew {
        /// Different shares that were given.
        given: usize,
        /// Shares that are needed.
        needed: u8,
    },
    /// They are not of one set.
    #[error("the shares belong to different backups")]
    Mixed,
    /// Each is sound, together they are not.
    #[error("the shares do not make up the identity that they were made from")]
    Inconsistent,
}

impl Advice for ShareError {
    fn remedy(&self) -> Remedy {
        Remedy::FixInput
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotAShare => "shares are made by `kubectl gitops keys backup --shares 3/5`",
            Self::OtherVersion { .. } => "use a newer kubectl gitops",
            Self::Damaged => "copy it again from where it is kept, or ask for another share",
            Self::TooFew { .. } => "give the file of each of them; the same share twice counts once",
            Self::Mixed => "a share's `recipient:` line says to which backup it belongs",
            Self::Inconsistent => "one of them was not made together with the others; try without it",
        };
        Some(hint.to_owned())
    }
}

/// One share. It cannot be printed.
pub struct Share {
    index: u8,
    scheme: Scheme,
    recipient: String,
    data: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Share({} of {})", self.index, self.scheme.total)
    }
}

/// Makes a fresh identity and divides it: gives its public key, to encrypt the backup for, and the text of each share.
#[must_use]
pub fn deal(scheme: Scheme) -> (age::x25519::Recipient, Vec<Zeroizing<String>>) {
    let identity = age::x25519::Identity::generate();
    let (recipient, text) = (identity.to_public(), identity.to_string());
    let parts = Sharks(scheme.threshold).dealer(text.expose_secret().as_bytes()).take(usize::from(scheme.total));
    let write = |part: Part| {
        let data = Zeroizing::new(Vec::from(&part));
        Share { index: data.first().copied().unwrap_or_default(), scheme, recipient: recipient.to_string(), data }.write()
    };
    let shares = parts.map(write).collect();
    (recipient, shares)
}

/// Puts shares together again: the text of the age identity.
///
/// # Errors
/// When they are too few, or not of one set.
pub fn combine(shares: &[Share]) -> Result<Zeroizing<String>, ShareError> {
    let first = shares.first().ok_or(ShareError::TooFew { given: 0, needed: 2 })?;
    if shares.iter().any(|share| share.recipient != first.recipient || share.scheme != first.scheme) {
        return Err(ShareError::Mixed);
    }
    let different: BTreeMap<u8, &Share> = shares.iter().map(|share| (share.index, share)).collect();
    if different.len() < usize::from(first.scheme.threshold) {
        return Err(ShareError::TooFew { given: different.len(), needed: first.scheme.threshold });
    }
    let parts: Vec<Part> = different
        .values()
        .map(|share| Part::try_from(share.data.as_slice()))
        .collect::<Result<_, _>>()
        .map_err(|_| ShareError::Damaged)?;
    let bytes = Sharks(first.scheme.threshold).recover(&parts).map(Zeroizing::new).map_err(|_| ShareError::Inconsistent)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| ShareError::Inconsistent)?;
    let identity: age::x25519::Identity = text.parse().map_err(|_| ShareError::Inconsistent)?;
    if identity.to_public().to_string() == first.recipient {
        Ok(Zeroizing::new(text.to_owned()))
    } else {
        Err(ShareError::Inconsistent)
    }
}

impl Share {
    /// Reads the text of a share; comments and blank lines around it do not matter.
    ///
    /// # Errors
    /// When it is something else, or damaged.
    pub fn parse(text: &str) -> Result<Self, ShareError> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let version = lines.next().and_then(|line| line.strip_prefix(HEADER)).ok_or(ShareError::NotAShare)?;
        if version != VERSION {
            return Err(ShareError::OtherVersion { found: version.to_owned() });
        }
        let fields: BTreeMap<&str, &str> = lines.filter_map(|line| line.split_once(": ")).collect();
        let field = |name: &str| fields.get(name).copied().ok_or(ShareError::Damaged);
        let number = |name: &str| field(name)?.parse::<u8>().map_err(|_| ShareError::Damaged);
        let share = Self {
            index: number("share")?,
            scheme: Scheme { threshold: number("threshold")?, total: number("of")? },
            recipient: field("recipient")?.to_owned(),
            data: Zeroizing::new(decode_base64(field("data")?).map_err(|_| ShareError::Damaged)?),
        };
        let sound = share.checksum() == field("checksum")? && share.data.first() == Some(&share.index) && share.data.len() > 1;
        if sound { Ok(share) } else { Err(ShareError::Damaged) }
    }

    fn write(&self) -> Zeroizing<String> {
        let Scheme { threshold, total } = self.scheme;
        // Sized beforehand: a growing buffer would leave unwiped copies behind.
        let mut text = Zeroizing::new(String::with_capacity(1024));
        let _ = writeln!(
            text,
            "# Share {} of {total} of the key to a backup of sealing keys. Any {threshold} of them open it.",
            self.index
        );
        let _ = writeln!(text, "# Keep it secret and apart from the others. kubectl gitops keys restore BACKUP --share FILE ...");
        let _ = write!(text, "{}", self.body().as_str());
        let _ = writeln!(text, "checksum: {}", self.checksum());
        text
    }

    fn body(&self) -> Zeroizing<String> {
        let mut body = Zeroizing::new(String::with_capacity(512));
        let data = Zeroizing::new(encode_base64(&self.data));
        let Scheme { threshold, total } = self.scheme;
        let _ = writeln!(body, "{HEADER}{VERSION}\nshare: {}\nof: {total}\nthreshold: {threshold}", self.index);
        let _ = writeln!(body, "recipient: {}\ndata: {}", self.recipient, data.as_str());
        body
    }

    /// Finds slips of the pen. What was changed on purpose does not combine.
    fn checksum(&self) -> String {
        hex::encode(&Sha256::digest(self.body().as_bytes())[..8])
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::keys::backup::{Lock, Unlock, decrypt, encrypt};

    fn dealt(text: &str) -> (age::x25519::Recipient, Vec<Zeroizing<String>>) {
        deal(Scheme::parse(text).unwrap())
    }

    fn read(texts: &[&Zeroizing<String>]) -> Vec<Share> {
        texts.iter().map(|text| Share::parse(text).unwrap()).collect()
    }

    #[test]
    fn any_three_of_five_open_a_backup_and_two_do_not() {
        let (recipient, shares) = dealt("3/5");
        let file = encrypt("marker", Lock::Recipients(vec![recipient]), false).unwrap();
        for chosen in [[0, 1, 2], [4, 2, 0], [1, 3, 4]] {
            let identity = combine(&read(&chosen.map(|index| &shares[index]))).unwrap();
            assert_eq!(*decrypt(&file, Unlock::Identities(identity)).unwrap(), "marker");
        }
        let all = combine(&read(&shares.iter().collect::<Vec<_>>())).unwrap();
        assert_eq!(*decrypt(&file, Unlock::Identities(all)).unwrap(), "marker");
        let few = combine(&read(&[&shares[0], &shares[1], &shares[1]])).unwrap_err();
        assert_eq!(few.to_string(), "2 of the 3 shares that are needed were given");
    }

    #[test]
    fn a_share_explains_itself_and_shows_neither_the_identity_nor_its_data_in_messages() {
        let (recipient, shares) = dealt("2/3");
        assert!(shares[1].starts_with("# Share 2 of 3 of the key to a backup of sealing keys. Any 2 of them open it.\n"));
        assert!(shares[1].contains(&format!("\nthreshold: 2\nrecipient: {recipient}\n")));
        assert!(shares.iter().all(|share| !share.contains("AGE-SECRET-KEY")));
        assert_eq!(format!("{:?}", Share::parse(&shares[1]).unwrap()), "Share(2 of 3)");
    }

    #[test]
    fn slips_are_named() {
        let (_, shares) = dealt("2/3");
        let (_, others) = dealt("2/3");
        let parse = |text: &str| Share::parse(text).unwrap_err();
        assert_eq!(parse("age-encryption.org/v1"), ShareError::NotAShare);
        assert_eq!(parse(""), ShareError::NotAShare);
        assert_eq!(parse(&shares[0].replace("/v1", "/v2")), ShareError::OtherVersion { found: "v2".into() });
        assert_eq!(parse(&shares[0].replace("threshold: 2", "threshold: 1")), ShareError::Damaged);
        assert_eq!(parse(&shares[0][..shares[0].len() / 2]), ShareError::Damaged);
        assert!(Share::parse(&shares[0].replace('\n', "\r\n")).is_ok());
        assert_eq!(combine(&read(&[&shares[0], &others[1]])).unwrap_err(), ShareError::Mixed);
        assert_eq!(combine(&[]).unwrap_err(), ShareError::TooFew { given: 0, needed: 2 });
    }

    #[test]
    fn senseless_schemes_are_refused() {
        assert_eq!(Scheme::parse("3/5"), Ok(Scheme { threshold: 3, total: 5 }));
        for text in ["1/5", "6/5", "0/0"] {
            assert!(Scheme::parse(text).unwrap_err().starts_with("at least 2 shares"), "{text}");
        }
        for text in ["3", "3 of 5", "300/400", ""] {
            assert!(Scheme::parse(text).unwrap_err().starts_with("write it like 3/5"), "{text}");
        }
    }
}
