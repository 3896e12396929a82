//! Holds the order of the modules and the purity of those that decide.
//!
//! A module may use only modules above it in [`ORDER`]. Neither `ui` nor `cli` uses `controller`, which the order cannot
//! express. Pure modules read no file, clock or random source, wait for nothing and talk to nobody.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

/// Modules, lowest first; the same list as in `src/lib.rs`.
const ORDER: &[&str] = &[
    "advice",
    "resource",
    "template",
    "world",
    "api",
    "customisation",
    "health",
    "diff",
    "sealing",
    "project",
    "cluster",
    "source",
    "render",
    "keys",
    "sync",
    "appset",
    "controller",
    "ui",
    "cli",
];

/// Pairs that the order would permit.
const NEVER: &[(&str, &str)] = &[("ui", "controller"), ("cli", "controller")];

/// Modules, and files or folders inside modules, that only decide.
const PURE: &[&str] = &[
    "advice",
    "resource",
    "template",
    "api",
    "customisation",
    "health",
    "diff",
    "sealing",
    "project",
    "controller/webhook/delivery",
    "controller/webhook/matching",
    "controller/webhook/payload",
    "source/credentials",
    "source/version",
    "appset",
    "sync/automation",
    "sync/budget",
    "sync/comparison",
    "sync/confirmation",
    "sync/deletion",
    "sync/hold",
    "sync/hooks",
    "sync/plan",
    "sync/policy",
    "sync/results",
    "sync/tasks",
    "sync/retry",
    "sync/targets",
];

/// What a deciding module must not contain.
const IMPURE: &[&str] = &[
    "async fn",
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "tokio::",
    "kube::Client",
    "kube::client",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "rand::",
    "getrandom",
];

#[test]
fn modules_use_only_modules_above_them() {
    let found: Vec<String> = sources().iter().flat_map(|(path, text)| upward_uses(path, text)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn deciding_modules_are_pure() {
    let found: Vec<String> = sources().iter().flat_map(|(path, text)| impurities(path, text)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// RUSTSEC-2023-0071: the private operations of the `rsa` crate can be timed, and any user may have the controller do them.
#[test]
fn the_rsa_crate_only_moves_keys_between_formats() {
    let found: Vec<String> = sources().iter().flat_map(|(path, text)| timed_operations(path, text)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    for planted in ["use rsa::Oaep;", "use ::rsa::{pkcs8, RsaPrivateKey};", "let key = rsa::PrivateKey::from_pkcs8_der(der);"] {
        assert!(!timed_operations("resource/pkcs8.rs", planted).is_empty(), "{planted}");
    }
    assert!(!timed_operations("sealing/key.rs", "use rsa::pkcs8::PrivateKeyInfoRef;").is_empty(), "another file");
    assert!(timed_operations("sealing/key.rs", "use aws_lc_rs::rsa::Oaep;\nlet parsed = PublicKey::RSA(rsa);").is_empty());
}

#[test]
fn the_library_lists_its_modules_in_order() {
    let lib = fs::read_to_string(src().join("lib.rs")).unwrap();
    let modules: Vec<&str> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")).filter_map(|rest| rest.strip_suffix(';')).collect();
    assert_eq!(modules, ORDER);
}

#[test]
fn every_source_file_belongs_to_a_module() {
    for (path, _) in sources() {
        let known = path == "lib.rs" || path.starts_with("bin/") || ORDER.contains(&module_of(&path));
        assert!(known, "src/{path} belongs to no module of the order");
    }
}

/// The checks themselves: each planted violation is found, each innocent line is not.
#[test]
fn planted_violations_are_found() {
    let upward = [
        ("health/mod.rs", "use crate::sync::Plan;"),
        ("health/mod.rs", "fn f() { crate::cluster::apply(); }"),
        ("health/rules/pod.rs", "use crate::{resource::Object, sync::Plan};"),
        ("health/rules/pod.rs", "use crate::{\n    resource::{Object, order},\n    ui,\n};"),
        ("ui/mod.rs", "use crate::controller::Loop;"),
        ("cli/mod.rs", "use kubectl_gitops::controller;"),
        ("cli/app/sync.rs", "pub use crate::controller as c;"),
        ("advice.rs", "pub(crate) use crate::api;"),
        ("health/mod.rs", "use super::sync::Plan;"),
        ("health/rules/pod.rs", "use super::super::super::sync::Plan;"),
        ("sealing/mod.rs", "#[cfg(test)]\nmod tests {}\nuse crate::keys::Key;"),
    ];
    for (path, text) in upward {
        assert!(!upward_uses(path, text).is_empty(), "{path}: {text}");
    }
    let innocent = [
        ("sync/plan.rs", "use crate::{health::Health, resource};"),
        ("cli/mod.rs", "use crate::ui;"),
        ("health/mod.rs", "// use crate::sync::Plan;\n/// See [`crate::sync`].\n"),
        ("health/mod.rs", "use crate::health::rules;"),
        ("health/rules/pod.rs", "use super::sync;"),
        ("health/mod.rs", "#[cfg(test)]\nmod tests {\n    use crate::ui;\n}"),
    ];
    for (path, text) in innocent {
        assert_eq!(upward_uses(path, text), Vec::<String>::new(), "{path}: {text}");
    }
    let impure = [
        ("diff/mod.rs", "pub async fn compare() {}"),
        ("sync/plan.rs", "let now = SystemTime::now();"),
        ("sync/plan/wave.rs", "use std::fs;"),
        ("resource/yaml.rs", "use std::{fmt, fs};"),
        ("sealing/mod.rs", "let x = rand::random();"),
        ("api/mod.rs", "fn f(c: kube::Client) {}"),
        ("api/mod.rs", "use kube::{Client, Resource};"),
    ];
    for (path, text) in impure {
        assert!(!impurities(path, text).is_empty(), "{path}: {text}");
    }
    let pure = [
        ("cluster/mod.rs", "pub async fn apply() {}"),
        ("sync/execute.rs", "use std::fs;"),
        ("diff/mod.rs", "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\nfn f() {}"),
        ("diff/mod.rs", "// like std::fs"),
        ("api/mod.rs", "let operand::Kind = brand::new();"),
    ];
    for (path, text) in pure {
        assert_eq!(impurities(path, text), Vec::<String>::new(), "{path}: {text}");
    }
}

#[test]
fn files_behind_a_test_module_are_not_production_code() {
    let text = "#[cfg(test)]\nmod tests;\n#[cfg(test)]\n#[path = \"x\"]\npub(crate) mod testing;\nmod real;\n#[cfg(test)]\nmod inline {}";
    assert_eq!(test_modules("lib.rs", text), ["tests", "testing"]);
    assert_eq!(test_modules("health/mod.rs", text), ["health/tests", "health/testing"]);
    assert_eq!(test_modules("health/code.rs", text), ["health/code/tests", "health/code/testing"]);
}

fn upward_uses(path: &str, text: &str) -> Vec<String> {
    let own = module_of(path);
    let Some(rank) = ORDER.iter().position(|module| *module == own) else { return Vec::new() };
    used_modules(&production_code(text), path)
        .into_iter()
        .filter(|used| {
            let above = ORDER.iter().position(|module| module == used).is_some_and(|other| other > rank);
            above || NEVER.contains(&(own, used.as_str()))
        })
        .map(|used| format!("src/{path}: `{own}` must not use `{used}`"))
        .collect()
}

fn impurities(path: &str, text: &str) -> Vec<String> {
    let of = |area: &&str| {
        path.strip_prefix(*area).is_some_and(|rest| rest.starts_with('/') || rest.starts_with('.') || rest.is_empty())
    };
    if !PURE.iter().any(of) {
        return Vec::new();
    }
    let code = expand_groups(&production_code(text));
    IMPURE
        .iter()
        .filter(|what| contains_word(&code, what))
        .map(|what| format!("src/{path}: `{what}` in a deciding module"))
        .collect()
}

/// Uses of the `rsa` crate, except those of its re-exported formats in the one file that needs them.
fn timed_operations(path: &str, text: &str) -> Vec<String> {
    let code = production_code(text);
    code.match_indices("rsa::")
        .filter(|(at, _)| !code[..*at].trim_end_matches("::").ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        .map(|(at, root)| heads(&code[at + root.len()..]))
        .filter(|heads| path != "resource/pkcs8.rs" || heads.iter().any(|head| !matches!(head.as_str(), "pkcs1" | "pkcs8")))
        .map(|heads| format!("src/{path}: the rsa crate's {}", heads.join(", ")))
        .collect()
}

/// First path segment: `health/rules/pod.rs` is of `health`, `advice.rs` of `advice`.
fn module_of(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap_or_default()
}

/// The names after `crate::`, the crate's own name, or as many `super::` as lead to the top, wherever they stand; of a group,
/// the first name of each entry.
fn used_modules(code: &str, path: &str) -> Vec<String> {
    let depth = path.trim_end_matches(".rs").trim_end_matches("/mod").split('/').count();
    let mut found = Vec::new();
    for root in ["crate::", "kubectl_gitops::", &"super::".repeat(depth)] {
        for (at, _) in code.match_indices(root) {
            found.extend(heads(&code[at + root.len()..]));
        }
    }
    found
}

/// `a::b` gives `a`; `{a::{b, c}, d}` gives `a` and `d`.
fn heads(rest: &str) -> Vec<String> {
    let word = |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = rest.strip_prefix('{') else { return vec![word(rest)] };
    let (mut depth, mut start, mut found) = (0_i32, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(word(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(word(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// Writes out `std::{fmt, fs}` as `std::fmt std::fs`, so that a grouped import is found too.
fn expand_groups(code: &str) -> String {
    let mut expanded = code.to_owned();
    for root in ["std::", "kube::"] {
        for (at, _) in code.match_indices(&format!("{root}{{")) {
            for head in heads(&code[at + root.len()..]) {
                expanded.push_str(&format!(" {root}{head}"));
            }
        }
    }
    expanded
}

/// True when the text stands there and is not the end of a longer word: `brand::` is not `rand::`.
fn contains_word(code: &str, what: &str) -> bool {
    code.match_indices(what).any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Source text without comments and without items under `#[cfg(test)]`.
fn production_code(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let code = line.trim_start();
        if code.starts_with("//") {
            continue;
        }
        if code.starts_with("#[cfg(test)]") {
            skip_item(&mut lines, code.trim_start_matches("#[cfg(test)]"));
            continue;
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// Skips one item, formatted by rustfmt: to the line that ends it at its own indentation.
fn skip_item<'a>(lines: &mut impl Iterator<Item = &'a str>, same_line: &'a str) {
    let mut head = same_line.trim();
    while head.is_empty() || head.starts_with("#[") || head.starts_with("//") || !(head.ends_with(['{', ';', '}'])) {
        match lines.next() {
            Some(line) => head = line.trim_end(),
            None => return,
        }
    }
    if !head.ends_with('{') {
        return;
    }
    let indentation = head.len() - head.trim_start().len();
    let _ = lines.find(|line| line.trim_start().starts_with('}') && line.len() - line.trim_start().len() == indentation);
}

/// Paths below `src` with `/`, and texts, without the files that only tests use.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(&src(), &mut files);
    assert!(files.len() > ORDER.len(), "found only {} files", files.len());
    let all: Vec<(String, String)> = files
        .into_iter()
        .map(|file| (file.strip_prefix(src()).unwrap().to_str().unwrap().replace('\\', "/"), fs::read_to_string(&file).unwrap()))
        .collect();
    let tests: Vec<String> = all.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    let only_tests =
        |path: &str| tests.iter().any(|test| path.strip_prefix(test).is_some_and(|rest| rest.starts_with(['.', '/'])));
    all.into_iter().filter(|(path, _)| !only_tests(path)).collect()
}

/// Paths without ending of the modules that a file declares with `#[cfg(test)] mod name;`.
fn test_modules(path: &str, text: &str) -> Vec<String> {
    let folder = match path.rsplit_once('/') {
        _ if path == "lib.rs" => String::new(),
        Some((folder, "mod.rs")) => format!("{folder}/"),
        _ => format!("{}/", path.trim_end_matches(".rs")),
    };
    text.split("#[cfg(test)]")
        .skip(1)
        .filter_map(|rest| rest.trim_start().lines().find(|line| !line.trim_start().starts_with("#[")))
        .filter_map(|line| line.trim().strip_suffix(';')?.rsplit_once("mod ").map(|(_, name)| format!("{folder}{name}")))
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}
