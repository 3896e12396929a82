//! Resealing with a backup of the keys: parallel over the cores, in memory.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use serde_json::Value;

use super::{Content, FileOutcome, ResealArgs, unreadable};
use crate::cli::Failure;
use crate::cli::keys::certificate;
use crate::cli::secrets::sealed::{Found, with_items};
use crate::keys::drill::{Places, read_repository};
use crate::sealing::{Certificate, Items, Keyring, SessionKey, Target, Trial, decode_base64, opens_as, reseal_as, unseal};
use crate::ui::age;

/// What resealing needs.
pub struct Offline {
    keys: Keyring,
    certificate: Certificate,
    places: Places,
    older_than: Option<Timestamp>,
}

impl Offline {
    pub fn prepare(args: &ResealArgs) -> Result<Self, Failure> {
        let keys = args.recovery.keyring()?;
        let certificate = match &args.cert {
            Some(file) => certificate::from_file(file)?,
            None => {
                let newest = keys.active().map(|key| key.certificate().pem.clone()).filter(|pem| !pem.is_empty());
                let newest = newest.ok_or_else(|| {
                    Failure::new("the backup holds no certificate to seal for")
                        .with_hint("--cert FILE, from kubectl gitops keys cert")
                })?;
                Certificate::from_pem(&newest)?
            }
        };
        certificate::refuse_expired(&certificate, age::now())?;
        let older_than = args.only_older_than.as_deref().map(|text| cutoff(text, &keys)).transpose()?;
        let mut places = Places { named: args.as_name.clone(), ..Places::default() };
        for folder in args.paths.iter().filter(|path| path.is_dir()) {
            let repository = read_repository(folder, &[]);
            let failed = |error: std::io::Error| Failure::new(format!("cannot read {}", folder.display())).with_cause(&error);
            places.renamings.extend(repository.map_err(failed)?.renamings);
        }
        Ok(Self { keys, certificate, places, older_than })
    }

    fn object(&self, found: &Found, json: &Value) -> Result<Option<Value>, Failure> {
        let mut trial = Trial::default();
        let candidates = self.places.candidates(&found.sealed);
        let target = candidates.into_iter().find(|place| opens_as(&found.sealed, place, &self.keys, &mut trial));
        let Some(target) = target else { return Err(self.explain(found)) };
        if self.older_than.is_some_and(|cutoff| !self.has_older(found, &target, cutoff)) {
            return Ok(None);
        }
        let mut session_key = || SessionKey::new(rand::random());
        let resealed =
            reseal_as(&found.sealed, &target, &self.keys, &self.certificate, Items::Stale, &mut session_key, &mut trial)?;
        if resealed.changed.is_empty() && found.sealed.spec.data.is_none() {
            return Ok(None);
        }
        let spec = &resealed.sealed.spec;
        if found.sealed.spec.data.is_some() {
            let mut value = json.clone();
            value["spec"] = serde_json::to_value(spec).unwrap_or_default();
            return Ok(Some(value));
        }
        Ok(Some(with_items(json, spec.encrypted_data.iter().filter(|(key, _)| resealed.changed.contains(*key)))))
    }

    /// Whether a key from before the cutoff opens any item.
    fn has_older(&self, found: &Found, target: &Target, cutoff: Timestamp) -> bool {
        let mut items = found.sealed.spec.encrypted_data.values().chain(&found.sealed.spec.data);
        items.any(|text| {
            let mut trial = Trial::default();
            let opened = decode_base64(text).ok().and_then(|blob| self.keys.open(&target.label(), &blob, &mut trial));
            let key = opened.and(self.keys.keys().iter().find(|key| Some(key.id()) == trial.last.as_ref()));
            key.is_some_and(|key| key.certificate().not_before < cutoff)
        })
    }

    fn explain(&self, found: &Found) -> Failure {
        match unseal(&found.sealed, &self.keys, &mut Trial::default()) {
            Ok(_) => Failure::new("opens only in part"),
            Err(error) => {
                let failure = Failure::from(error);
                let hint = failure.hint.unwrap_or_default();
                Failure {
                    hint: Some(format!(
                        "{hint}; renamed? --as-name NAMESPACE/NAME; or it is under the new key already, which the backup does not hold"
                    )),
                    ..failure
                }
            }
        }
    }
}

fn cutoff(text: &str, keys: &Keyring) -> Result<Timestamp, Failure> {
    let named = keys.keys().iter().find(|key| key.id().as_str() == text || key.certificate().fingerprint.starts_with(text));
    if let Some(key) = named {
        return Ok(key.certificate().not_before);
    }
    let date = text.parse::<jiff::civil::Date>().ok().and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok());
    let instant = date.map(|date| date.timestamp()).or_else(|| text.parse().ok());
    instant.ok_or_else(|| {
        Failure::new(format!("--only-older-than {text}: no key of the backup has this fingerprint, and it is no date"))
            .with_hint("a date is YYYY-MM-DD; fingerprints: kubectl gitops keys list")
    })
}

/// Works through the files, one thread for each core.
pub fn all(files: &[PathBuf], engine: &Offline) -> Vec<FileOutcome> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((index, path)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, files.get(at)?)))
                {
                    let outcome = match Content::read(path) {
                        Ok(None) => continue,
                        Ok(Some(content)) => {
                            let results = content.found.iter().map(|found| engine.object(found, &content.json(found))).collect();
                            content.conclude(results)
                        }
                        Err(failure) => unreadable(path, failure),
                    };
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((index, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}
