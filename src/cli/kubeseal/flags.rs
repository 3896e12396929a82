//! The flags of kubeseal 0.36.6: what exists, and how the words of a command line are read.
//!
//! Read as its library does it (pflag): `--name=value`, `--name value`, `-n value`, `-nvalue`; a switch takes a value only after `=`;
//! words that are no flags are ignored; nothing after `--` is a flag. Every flag but the logger's can be set in the environment.

use std::collections::BTreeMap;

/// How often a flag may be given and what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Nothing, or `=true`/`=false`.
    Switch,
    /// One value; the last one counts.
    Value,
    /// Several, also with commas between.
    List,
    /// Several, commas belong to the value.
    Repeated,
}

/// One flag.
#[derive(Debug)]
pub struct Flag {
    /// Name without dashes.
    pub name: &'static str,
    /// One letter.
    pub short: Option<char>,
    /// What it takes.
    pub takes: Takes,
    /// What it does; empty for what is accepted and means nothing here.
    pub help: &'static str,
}

const fn flag(name: &'static str, takes: Takes, help: &'static str) -> Flag {
    Flag { name, short: None, takes, help }
}

const fn short(name: &'static str, short: char, takes: Takes, help: &'static str) -> Flag {
    Flag { name, short: Some(short), takes, help }
}

use Takes::{List, Repeated, Switch, Value};

/// All flags.
pub const FLAGS: &[Flag] = &[
    flag("allow-empty-data", Switch, "Seal a Secret without any value"),
    flag("as", Value, "User to impersonate"),
    flag("as-group", Repeated, "Group to impersonate; may be given several times"),
    flag("as-uid", Value, "UID to impersonate"),
    flag("cert", Value, "File or URL with the certificate to seal with, instead of asking the cluster"),
    flag("certificate-authority", Value, "File with the certificate authority of the API server"),
    flag("client-certificate", Value, "File with the client certificate"),
    flag("client-key", Value, "File with the client key"),
    flag("cluster", Value, "Name of the kubeconfig cluster to use"),
    flag("context", Value, "Name of the kubeconfig context to use"),
    flag("controller-name", Value, "Name of the controller's Service (default \"sealed-secrets-controller\")"),
    flag("controller-namespace", Value, "Namespace of the controller (default \"kube-system\")"),
    flag("disable-compression", Switch, ""),
    flag("fetch-cert", Switch, "Print the certificate"),
    short("format", 'o', Value, "Output format: json or yaml (default \"json\")"),
    flag("from-file", List, "With --raw: file with the value, as [KEY=]PATH"),
    flag("help", Switch, "Print this text"),
    flag("insecure-skip-tls-verify", Switch, "Accept any certificate of the API server"),
    flag("kubeconfig", Value, "Path to the kubeconfig file"),
    flag("merge-into", Value, "Add the sealed items to this SealedSecret file instead of printing"),
    flag("name", Value, "Name of the sealed secret; needed with --raw and scope strict"),
    short("namespace", 'n', Value, "Namespace of the Secret"),
    flag("password", Value, ""),
    flag("proxy-url", Value, ""),
    flag("raw", Switch, "Seal one value instead of a Secret"),
    flag("re-encrypt", Switch, "Have SealedSecrets sealed again with the newest key"),
    flag("recovery-private-key", List, "With --recovery-unseal: files with private keys or backups of key Secrets"),
    flag("recovery-unseal", Switch, "Open a SealedSecret offline and print the Secret"),
    flag("request-timeout", Value, "How long to wait for one answer, for example 30s"),
    flag("rotate", Switch, ""),
    flag("scope", Value, "strict, namespace-wide or cluster-wide (default \"strict\")"),
    short("sealed-secret-file", 'w', Value, "Output file"),
    short("secret-file", 'f', Value, "Input file"),
    flag("server", Value, "Address of the API server"),
    flag("tls-server-name", Value, "Name that the API server's certificate must carry"),
    flag("token", Value, "Bearer token for the API server"),
    flag("user", Value, "Name of the kubeconfig user to use"),
    flag("username", Value, ""),
    flag("validate", Switch, "Ask the controller whether SealedSecrets can be opened"),
    flag("version", Switch, "Print the version"),
];

/// Flags of the logger that the original carries along. They have no meaning here and no environment variable.
const LOGGER: &[Flag] = &[
    flag("add_dir_header", Switch, ""),
    flag("alsologtostderr", Switch, ""),
    flag("alsologtostderrthreshold", Value, ""),
    flag("legacy_stderr_threshold_behavior", Switch, ""),
    flag("log_backtrace_at", Value, ""),
    flag("log_dir", Value, ""),
    flag("log_file", Value, ""),
    flag("log_file_max_size", Value, ""),
    flag("logtostderr", Switch, ""),
    flag("one_output", Switch, ""),
    flag("skip_headers", Switch, ""),
    flag("skip_log_headers", Switch, ""),
    flag("stderrthreshold", Value, ""),
    short("v", 'v', Value, ""),
    flag("vmodule", Value, ""),
];

/// What was given, by flag.
#[derive(Default, Clone)]
pub struct Given {
    values: BTreeMap<&'static str, Vec<String>>,
}

impl Given {
    /// The value of a flag, if it is there and not empty.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.last().map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether a switch is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.value(name) == Some("true")
    }

    /// All values of a flag.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.values.get(name).cloned().unwrap_or_default()
    }

    fn put(&mut self, flag: &'static Flag, value: &str) -> Result<(), String> {
        let entry = self.values.entry(flag.name).or_default();
        match flag.takes {
            Switch => *entry = vec![parse_bool(value).ok_or_else(|| bad_bool(value))?.to_string()],
            Value => *entry = vec![value.to_owned()],
            List => entry.extend(value.split(',').map(str::to_owned)),
            Repeated => entry.push(value.to_owned()),
        }
        Ok(())
    }
}

/// Reads the environment, then the command line, which wins; lists add up.
///
/// # Errors
/// The original's message about the first flag that is wrong. A wrong value in the environment is an error as well: the original
/// takes it for false or nothing without a word.
pub fn parse(args: &[String], environment: impl Fn(&str) -> Option<String>) -> Result<Given, String> {
    let mut given = Given::default();
    for flag in FLAGS {
        let variable = format!("SEALED_SECRETS_{}", flag.name.to_uppercase().replace('-', "_"));
        if let Some(value) = environment(&variable).filter(|value| !value.is_empty()) {
            given.put(flag, &value).map_err(|problem| format!("invalid value {value:?} of {variable}: {problem}"))?;
        }
    }
    let mut words = args.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        } else if let Some(long) = word.strip_prefix("--") {
            read_long(long, &mut words, &mut given)?;
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            read_short(letters, &mut words, &mut given)?;
        }
    }
    Ok(given)
}

fn read_long<'a>(word: &'a str, words: &mut impl Iterator<Item = &'a str>, given: &mut Given) -> Result<(), String> {
    let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
    if name.is_empty() || name.starts_with('-') {
        return Err(format!("bad flag syntax: --{word}"));
    }
    let flag = find(|flag| flag.name == name).ok_or_else(|| format!("unknown flag: --{name}"))?;
    let value = match (value, flag.takes) {
        (Some(value), _) => value,
        (None, Switch) => "true",
        (None, _) => words.next().ok_or_else(|| format!("flag needs an argument: --{name}"))?,
    };
    put(flag, value, given)
}

fn read_short<'a>(letters: &'a str, words: &mut impl Iterator<Item = &'a str>, given: &mut Given) -> Result<(), String> {
    let Some(letter) = letters.chars().next() else { return Ok(()) };
    let flag =
        find(|flag| flag.short == Some(letter)).ok_or_else(|| format!("unknown shorthand flag: {letter:?} in -{letters}"))?;
    // No switch has a letter, so the rest of the word is the value.
    let rest = &letters[letter.len_utf8()..];
    let value = match rest.strip_prefix('=').unwrap_or(rest) {
        "" if rest.is_empty() => words.next().ok_or_else(|| format!("flag needs an argument: {letter:?} in -{letters}"))?,
        value => value,
    };
    put(flag, value, given)
}

fn put(flag: &'static Flag, value: &str, given: &mut Given) -> Result<(), String> {
    let name = flag.short.map_or_else(|| format!("--{}", flag.name), |short| format!("-{short}, --{}", flag.name));
    given.put(flag, value).map_err(|problem| format!("invalid argument {value:?} for {name:?} flag: {problem}"))
}

fn find(is: impl Fn(&Flag) -> bool) -> Option<&'static Flag> {
    FLAGS.iter().chain(LOGGER).find(|flag| is(flag))
}

fn bad_bool(value: &str) -> String {
    format!("strconv.ParseBool: parsing {value:?}: invalid syntax")
}

/// As Go reads a truth value.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// The text of `--help`.
pub fn usage() -> String {
    let mut text = "Usage of kubeseal:\n".to_owned();
    for flag in FLAGS.iter().filter(|flag| !flag.help.is_empty()) {
        let short = flag.short.map_or_else(|| "   ".to_owned(), |short| format!("-{short},"));
        let name = if flag.takes == Switch { flag.name.to_owned() } else { format!("{} VALUE", flag.name) };
        text.push_str(&format!("  {short} --{name:<32} {}\n", flag.help));
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(line: &str) -> Result<Given, String> {
        parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>(), |_| None)
    }

    fn value(line: &str, name: &str) -> Option<String> {
        read(line).unwrap().value(name).map(str::to_owned)
    }

    #[test]
    fn values_stand_where_pflag_finds_them() {
        for line in ["--format yaml", "--format=yaml", "-o yaml", "-oyaml", "-o=yaml", "word -o yaml word"] {
            assert_eq!(value(line, "format").as_deref(), Some("yaml"), "{line}");
        }
        assert_eq!(value("-o json -o yaml", "format").as_deref(), Some("yaml"), "the last counts");
        assert_eq!(value("-- -o yaml", "format"), None);
        assert_eq!(value("-", "format"), None, "a word");
        assert_eq!(read("--from-file a,b --from-file c").unwrap().list("from-file"), ["a", "b", "c"]);
        assert_eq!(read("--as-group a,b").unwrap().list("as-group"), ["a,b"]);
        assert!(read("--raw").unwrap().is_on("raw") && read("--raw=T").unwrap().is_on("raw"));
        assert!(!read("--raw=false").unwrap().is_on("raw"));
        assert!(read("--raw false").unwrap().is_on("raw"), "a word");
    }

    #[test]
    fn messages_are_the_originals() {
        for (line, message) in [
            ("--bogus", "unknown flag: --bogus"),
            ("--=x", "bad flag syntax: --=x"),
            ("-x", "unknown shorthand flag: 'x' in -x"),
            ("--cert", "flag needs an argument: --cert"),
            ("-o", "flag needs an argument: 'o' in -o"),
            (
                "--raw=maybe",
                "invalid argument \"maybe\" for \"--raw\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
            ),
        ] {
            assert_eq!(read(line).err().as_deref(), Some(message), "{line}");
        }
    }

    #[test]
    fn the_environment_loses_to_the_command_line_and_must_be_right() {
        let environment = |name: &str| match name {
            "SEALED_SECRETS_FORMAT" => Some("yaml".to_owned()),
            "SEALED_SECRETS_FROM_FILE" => Some("a".to_owned()),
            _ => None,
        };
        let given = parse(&["--from-file=b".to_owned()], environment).unwrap();
        assert_eq!((given.value("format"), given.list("from-file")), (Some("yaml"), vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(parse(&["-ojson".to_owned()], environment).unwrap().value("format"), Some("json"));
        let wrong = parse(&[], |name| (name == "SEALED_SECRETS_RAW").then(|| "yes".to_owned())).err().unwrap();
        assert!(wrong.starts_with("invalid value \"yes\" of SEALED_SECRETS_RAW: "), "{wrong}");
    }
}
