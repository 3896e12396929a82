//! Every recorded answer of the originals is ours too, except for the differences that are listed with their reasons.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{FunctionSet, Map, MissingKey, Options, StillWorld, Text, Value, render};

#[derive(Deserialize)]
struct Group {
    name: String,
    dot: String,
    #[serde(default)]
    missingkey: String,
    #[serde(default)]
    data: serde_json::Map<String, serde_json::Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    template: String,
    expected: Option<String>,
    expected_hex: Option<String>,
    error: Option<String>,
}

/// A case in which we answer something else than the original, on purpose.
#[derive(Deserialize)]
struct Difference {
    template: String,
    ours: String,
    why: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/go-template")
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn ours(group: &Group, template: &str) -> String {
    let (data, functions) = if group.dot == "json" {
        (Value::from_json(&serde_json::Value::Object(group.data.clone())), FunctionSet::ApplicationSets)
    } else {
        let texts = group.data.iter().map(|(key, value)| (Text::from(key.as_str()), Text::from(value.as_str().unwrap())));
        (Value::Map(Map::of_texts(texts.collect())), FunctionSet::SealedSecrets)
    };
    let missing_key = match group.missingkey.as_str() {
        "" => MissingKey::Default,
        option => MissingKey::from_option(&format!("missingkey={option}")).unwrap(),
    };
    let options = Options { missing_key, functions, confidential: false };
    match render("t", template, &data, options, &mut StillWorld::new()) {
        Ok(text) => match std::str::from_utf8(text.as_bytes()) {
            Ok(text) => format!("text: {text}"),
            Err(_) => format!("hex: {}", hex::encode(text.as_bytes())),
        },
        Err(error) => format!("error: {error}"),
    }
}

fn theirs(case: &Case) -> String {
    match case {
        Case { expected: Some(text), .. } => format!("text: {text}"),
        Case { expected_hex: Some(hex), .. } => format!("hex: {hex}"),
        Case { error: Some(error), .. } => format!("error: {error}"),
        Case { template, .. } => panic!("no answer is recorded for {template}"),
    }
}

fn files() -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = all
        .filter(|path| path.extension().is_some_and(|ending| ending == "json") && !path.ends_with("differences.json"))
        .collect();
    found.sort();
    found
}

#[test]
fn we_answer_what_go_and_sprig_answer() {
    let differences: Vec<Difference> = read(&folder().join("differences.json"));
    let mut listed: BTreeMap<&str, &Difference> = differences.iter().map(|known| (known.template.as_str(), known)).collect();
    let mut wrong = Vec::new();
    let mut count = 0;
    for file in files() {
        for group in read::<Vec<Group>>(&file) {
            for case in &group.cases {
                count += 1;
                let (ours, theirs) = (ours(&group, &case.template), theirs(case));
                let place = || format!("{} ({}): {}", file.file_name().unwrap().display(), group.name, case.template);
                match listed.remove(case.template.as_str()) {
                    Some(known) if known.ours == ours && ours != theirs => assert!(!known.why.is_empty()),
                    Some(known) => {
                        wrong.push(format!("{}\n  listed {}\n  ours   {ours}\n  theirs {theirs}", place(), known.ours))
                    }
                    None if ours == theirs => {}
                    None => wrong.push(format!("{}\n  ours   {ours}\n  theirs {theirs}", place())),
                }
            }
        }
    }
    wrong.extend(listed.keys().map(|template| format!("differences.json: there is no case {template}")));
    assert!(wrong.is_empty(), "{} of {count} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 400, "only {count} cases were found");
}

#[test]
fn every_function_has_a_case() {
    let mut words = BTreeSet::new();
    for file in files() {
        for group in read::<Vec<Group>>(&file) {
            for case in &group.cases {
                words.extend(case.template.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned));
            }
        }
    }
    let missing: Vec<&str> =
        FunctionSet::ApplicationSets.all().map(|(_, function)| function.name).filter(|name| !words.contains(*name)).collect();
    assert!(missing.is_empty(), "no case calls {missing:?}");
}

fn secret(text: &str) -> Value {
    Value::Map(Map::of_texts([(Text::from("p"), Text::from(text)), (Text::from("n"), Text::from("3"))].into()))
}

#[test]
fn no_template_runs_forever_or_grows_without_end() {
    let endless = [
        "{{ range until 100000000 }}{{ end }}",
        "{{ range int64 9000000000000000000 }}{{ end }}",
        "{{ range 9000000000000000000 }}x{{ end }}",
        "{{ repeat 1000000000 \"x\" }}",
        "{{ indent 1000000000 \"x\" }}",
        "{{ seq 9000000000000000000 }}",
        "{{ untilStep 0 9000000000000000000 1 }}",
        "{{ randAlpha 1000000000 }}",
        "{{ randBytes 1000000000 }}",
        "{{ $x := repeat 1000 \"x\" }}{{ range 100 }}{{ $x = cat $x $x }}{{ end }}",
        "{{ $l := list 1 }}{{ range 100 }}{{ $l = concat $l $l }}{{ end }}",
        "{{ define \"a\" }}{{ template \"a\" . }}{{ end }}{{ template \"a\" . }}",
        "{{ define \"a\" }}{{ template \"b\" . }}{{ end }}{{ define \"b\" }}{{ template \"a\" . }}{{ end }}{{ template \"a\" . }}",
        "{{ range 5000000 }}{{ $x := repeat 1000000 \"x\" }}{{ end }}",
        "{{ range 1000 }}{{ $x := derivePassword 1 \"pin\" \"x\" \"y\" \"z\" }}{{ end }}",
        "{{ regexReplaceAll \"x*\" (repeat 1000000 \"y\") \"zzzz\" }}",
        "{{ $d := dict }}{{ set $d \"a\" (list $d) }}",
        "{{ $l := list }}{{ range 10000 }}{{ $l = list $l }}{{ end }}{{ $l }}",
        "{{ $l := list }}{{ range 10000 }}{{ $l = list $l }}{{ end }}{{ toRawJson $l }}",
        "{{ $d := list 1 }}{{ range 60 }}{{ $d = list $d $d }}{{ end }}{{ $d }}",
        "{{ $d := list 1 }}{{ range 60 }}{{ $d = list $d $d }}{{ end }}{{ $e := deepCopy $d }}",
    ];
    for template in endless {
        let result = render("t", template, &secret("x"), Options::SEALED_SECRETS, &mut StillWorld::new());
        assert!(result.is_err(), "{template}");
    }
    let deep = format!("{}1{}", "{{ if true }}".repeat(300), "{{ end }}".repeat(300));
    assert!(render("t", &deep, &secret("x"), Options::SEALED_SECRETS, &mut StillWorld::new()).is_err());
    let parens = format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000));
    assert!(render("t", &parens, &secret("x"), Options::SEALED_SECRETS, &mut StillWorld::new()).is_err());
}

#[test]
fn a_deep_value_is_dropped_without_recursion() {
    let template = "{{ $l := list }}{{ range 200000 }}{{ $l = list $l }}{{ end }}{{ len $l }}";
    assert_eq!(render("t", template, &secret("x"), Options::SEALED_SECRETS, &mut StillWorld::new()).unwrap(), Text::from("1"));
}

/// Whatever a template does with a secret value, an error about it does not show the value.
#[test]
fn errors_about_secret_data_show_none_of_it() {
    const MARKER: &str = "m4rk3r-s3cr3t";
    let leaking = [
        "{{ fail .p }}",
        "{{ fail (printf \"%s!\" .p) }}",
        "{{ range .p }}{{ end }}",
        "{{ mustToDate \"2006\" .p }}",
        "{{ mustToDate .p \"2006\" }}",
        "{{ mustDateModify .p now }}",
        "{{ mustFromJson .p }}",
        "{{ semver .p }}",
        "{{ semverCompare .p \"1.0.0\" }}",
        "{{ mustRegexFind (cat .p \"(\") \"x\" }}",
        "{{ regexFind (cat .p \"(\") \"x\" }}",
        "{{ urlParse (cat .p \"\\x01\") }}",
        "{{ urlParse (print \"http://h:\" .p) }}",
        "{{ urlJoin (dict \"userinfo\" (print .p \" \")) }}",
        "{{ genSelfSignedCert \"x\" (list .p) nil 1 }}",
        "{{ genCAWithKey \"x\" 1 .p }}",
        "{{ genCAWithKey \"x\" 1 (printf \"-----BEGIN %s-----\\nAA==\\n-----END %s-----\" .p .p) }}",
        "{{ genSelfSignedCert \"x\" (list (list .p)) nil 1 }}",
        "{{ eq (list .p) (list .p) }}",
        "{{ decryptAES .p .p }}",
        "{{ index (list) (atoi .p) }}",
        "{{ index . (list .p) }}",
        "{{ dig .p \"d\" (list .p) }}",
        "{{ template \"x\" .p }}",
        "{{ first .p }}",
        "{{ .p.x }}",
        "{{ (dict .p 1) | upper }}",
    ];
    for template in leaking {
        let error = render("t", template, &secret(MARKER), Options::SEALED_SECRETS, &mut StillWorld::new()).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(MARKER) && !shown.contains("m4rk3r"), "{template}: {shown}");
    }
    let error = render("t", "{{ fail .p }}", &secret(MARKER), Options::SEALED_SECRETS, &mut StillWorld::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "template: t:1:3: executing \"t\" at <fail .p>: error calling fail: its message is withheld, because it may hold decrypted values"
    );
}

#[test]
fn the_same_world_gives_the_same_text() {
    let render =
        || render("t", "{{ now }} {{ randAlpha 8 }} {{ uuidv4 }}", &secret("x"), Options::SEALED_SECRETS, &mut StillWorld::new());
    assert_eq!(render().unwrap(), render().unwrap());
}

/// What a certificate says is read back by an independent parser.
#[test]
fn certificates_say_what_was_asked_for() {
    let template = "{{ $ca := genCA \"my ca\" 10 }}{{ $c := genSignedCert \"foo.com\" (list \"10.0.0.1\") (list \"bar.com\") 5 $ca }}{{ $ca.Cert }}{{ $c.Cert }}";
    let text = render("t", template, &secret("x"), Options::SEALED_SECRETS, &mut StillWorld::new()).unwrap();
    let blocks = crate::resource::pem::blocks(&text.to_str());
    let certificates: Vec<_> =
        blocks.iter().map(|block| x509_parser::parse_x509_certificate(&block.content).unwrap().1).collect();
    let [authority, leaf] = certificates.as_slice() else { panic!("{} certificates", certificates.len()) };
    assert_eq!(authority.subject().to_string(), "CN=my ca");
    assert!(authority.is_ca() && !leaf.is_ca());
    assert_eq!(leaf.issuer(), authority.subject());
    assert_eq!(leaf.subject().to_string(), "CN=foo.com");
    let names = format!("{:?}", leaf.subject_alternative_name().unwrap().unwrap().value.general_names);
    assert!(names.contains("DNSName(\"bar.com\")") && names.contains("[10, 0, 0, 1]"), "{names}");
    assert_eq!(leaf.validity().not_after.timestamp() - leaf.validity().not_before.timestamp(), 5 * 24 * 3600);
    assert_eq!(leaf.validity().not_before.timestamp(), StillWorld::new().now.as_second());
}

#[test]
fn the_page_about_compatibility_names_every_function() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compat/templates.md")).unwrap();
    let functions = FunctionSet::ApplicationSets.all().map(|(_, function)| function.name);
    let missing: Vec<&str> = functions.filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
