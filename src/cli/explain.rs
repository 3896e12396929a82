//! `explain`: why a SealedSecret does not open.

use std::path::PathBuf;

use clap::Args;
use kube::api::Api;
use serde::Serialize;

use super::output::{Output, Problem, Report, print_document};
use super::secrets::files;
use super::secrets::recovery::RecoveryArgs;
use super::secrets::sealed;
use super::{CommandResult, Context, Exit, Failure};
use crate::advice::Advice as _;
use crate::api::SealedSecret;
use crate::sealing::{Keyring, SealingKey, Target, Trial, decode_base64, unseal};
use crate::ui::stream;
use crate::ui::symbols::Symbols;

/// Length of what is around the RSA part of an item: its length field and the tag.
const FRAME_BYTES: usize = 2 + 16;

/// Say why a SealedSecret does not open.
///
/// With --key it tries the keys of a backup, offline, on the object's own place and on those that the object itself names. Without one
/// it checks what can be seen in the file; for NAMESPACE/NAME it reports what the controller found. No value is shown.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops explain db-sealed.yaml --key backup.age --identity identity.txt")]
pub struct ExplainArgs {
    /// A file with SealedSecrets, `-` for standard input, or NAMESPACE/NAME of one in the cluster
    #[arg(value_name = "FILE|NAMESPACE/NAME")]
    what: String,
    #[command(flatten)]
    recovery: RecoveryArgs,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    object: String,
    /// `namespace/name`, `namespace/*` or `*/*`.
    sealed_for: String,
    scope: &'static str,
    items: usize,
    verdict: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys_tried: Vec<String>,
    #[serde(skip)]
    problems: Vec<Problem>,
}

#[derive(Debug, Serialize)]
struct Explanations {
    items: Vec<Explanation>,
}

/// Explains.
///
/// # Errors
/// When there is nothing to look at.
pub async fn run(args: ExplainArgs, cx: &Context) -> CommandResult {
    let keys = if args.recovery.is_given() { Some(args.recovery.keyring()?) } else { None };
    let path = PathBuf::from(&args.what);
    let explanations = if args.what == files::STDIN || path.exists() {
        let (name, text) = (files::describe(&path), files::read_text(&path)?);
        let found = sealed::find(&name, &sealed::documents(&name, &text)?)?;
        found
            .iter()
            .map(|found| explain(&format!("{name}:{} {}", found.line, found.name()), &found.sealed, keys.as_ref()))
            .collect()
    } else {
        vec![live(&args.what, keys.as_ref(), cx).await?]
    };
    if explanations.is_empty() {
        return Err(Failure::new(format!("there is no SealedSecret in {}", args.what)));
    }
    finish(explanations, args.output)
}

async fn live(what: &str, keys: Option<&Keyring>, cx: &Context) -> Result<Explanation, Failure> {
    let (namespace, name) = super::seal::parse_final(what)
        .map_err(|_| Failure::new(format!("there is no file {what}")).with_hint("give a file, or NAMESPACE/NAME"))?;
    let api: Api<SealedSecret> = Api::namespaced(cx.client().await?, &namespace);
    let sealed = api.get_opt(&name).await.map_err(|error| cx.explain(&error, "read the SealedSecret"))?;
    let sealed = sealed
        .ok_or_else(|| Failure::new(format!("there is no SealedSecret {what}")).with_hint("kubectl get sealedsecrets -A"))?;
    let mut explanation = explain(&sealed::name_of(&sealed), &sealed, keys);
    if keys.is_none() && explanation.problems.is_empty() {
        report_status(&sealed, &mut explanation);
    }
    Ok(explanation)
}

fn report_status(sealed: &SealedSecret, explanation: &mut Explanation) {
    let condition = sealed.status.as_ref().and_then(|status| status.conditions.iter().find(|one| one.type_ == "Synced"));
    match condition {
        None => {
            explanation.problem(
                "no-status",
                "no controller has looked at it yet".to_owned(),
                Some("kubectl gitops status".to_owned()),
            );
        }
        Some(condition) if condition.status == "True" => explanation.verdict = "the controller opened it".to_owned(),
        Some(condition) => {
            let message = condition.message.clone().unwrap_or_else(|| "the controller gave no reason".to_owned());
            explanation.problem("not-synced", message, Some("with a backup: --key BACKUP says which key is missing".to_owned()));
        }
    }
}

impl Explanation {
    fn problem(&mut self, code: &'static str, message: String, hint: Option<String>) {
        self.verdict = "does not open".to_owned();
        self.problems.push(Problem { code, message, hint, object: Some(self.object.clone()) });
    }
}

fn explain(object: &str, sealed: &SealedSecret, keys: Option<&Keyring>) -> Explanation {
    let target = Target::of(&sealed.metadata);
    let mut explanation = Explanation {
        object: object.to_owned(),
        sealed_for: target.to_string(),
        scope: target.scope.as_str(),
        items: sealed.spec.encrypted_data.len() + usize::from(sealed.spec.data.is_some()),
        verdict: "looks whole; whether it opens was not tried (--key BACKUP)".to_owned(),
        keys_tried: Vec::new(),
        problems: Vec::new(),
    };
    for (key, text) in &sealed.spec.encrypted_data {
        if let Some((code, message)) = defect(text) {
            explanation.problem(
                code,
                format!("item {key:?}: {message}"),
                Some("seal this key again: kubectl gitops seal --set KEY".to_owned()),
            );
        }
    }
    let Some(keys) = keys else { return explanation };
    explanation.keys_tried = keys.keys().iter().map(|key| describe(key)).collect();
    match unseal(sealed, keys, &mut Trial::default()) {
        Ok(_) => "opens".clone_into(&mut explanation.verdict),
        Err(error) if explanation.problems.is_empty() => {
            explanation.problem("undecryptable", error.to_string().replace('\n', "; "), error.hint());
        }
        Err(_) => {}
    }
    explanation
}

/// The key's id, and the fingerprint of its certificate; a bare PEM key has none of its own.
fn describe(key: &SealingKey) -> String {
    let (id, fingerprint) = (key.id().to_string(), &key.certificate().fingerprint);
    if *fingerprint == id { id } else { format!("{id} ({fingerprint})") }
}

/// What can be seen without any key: not base64, or too short for what it says about itself.
pub(super) fn defect(text: &str) -> Option<(&'static str, String)> {
    if text.trim().is_empty() {
        return Some(("empty", "is empty or not a string".to_owned()));
    }
    let blob = match decode_base64(text) {
        Ok(blob) => blob,
        Err(error) => return Some(("base64", format!("{error}; a folded text (`>-`) has spaces, `|` has none"))),
    };
    let rsa = wrapped_bytes(&blob);
    if !(256..=2048).contains(&rsa) {
        return Some(("damaged", format!("{} bytes that do not begin like a sealed item", blob.len())));
    }
    (blob.len() < rsa + FRAME_BYTES)
        .then(|| ("truncated", format!("is cut off: {} bytes, at least {} expected", blob.len(), rsa + FRAME_BYTES)))
}

/// Length of an item's RSA part, which is that of the key's modulus.
pub(super) fn wrapped_bytes(blob: &[u8]) -> usize {
    blob.first_chunk::<2>().map_or(0, |length| usize::from(u16::from_be_bytes(*length)))
}

fn finish(explanations: Vec<Explanation>, output: Option<Output>) -> CommandResult {
    let fine = explanations.iter().all(|one| one.problems.is_empty());
    let exit = if fine { Exit::Done } else { Exit::No };
    if let Some(output) = output {
        let mut explanations = explanations;
        let problems = explanations.iter_mut().flat_map(|one| std::mem::take(&mut one.problems)).collect();
        print_document(output, &Report::new("ExplainReport", fine, Explanations { items: explanations }, problems))?;
        return Ok(exit);
    }
    let symbols = Symbols::get();
    for one in &explanations {
        let symbol = if one.problems.is_empty() { symbols.done } else { symbols.failed };
        stream::out(&format!(
            "{symbol} {}: {} (for {}, scope {}, {} items)\n",
            one.object, one.verdict, one.sealed_for, one.scope, one.items
        ));
        for problem in &one.problems {
            stream::out(&format!("    {}\n", problem.message));
            problem.hint.iter().for_each(|hint| stream::out(&format!("    hint: {hint}\n")));
        }
        one.keys_tried.iter().for_each(|key| stream::out(&format!("    tried key {key}\n")));
    }
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use super::defect;
    use crate::sealing::encode_base64;

    #[test]
    fn what_is_broken_without_any_key_is_named() {
        let item = |length: u16, rest: usize| encode_base64(&[length.to_be_bytes().as_slice(), &vec![0; rest]].concat());
        let code = |text: &str| defect(text).map(|(code, _)| code);
        assert_eq!(code(&item(512, 512 + 16)), None);
        assert_eq!(code(&item(512, 512 + 15)), Some("truncated"));
        assert_eq!(code(&item(5, 600)), Some("damaged"));
        assert_eq!(code("AgB x"), Some("base64"));
        assert_eq!(code(""), Some("empty"));
    }
}
