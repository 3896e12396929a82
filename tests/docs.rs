//! The documents hold what they promise: links lead somewhere, commands parse.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where documents are.
const FILES: &[&str] = &["README.md", "CHANGELOG.md", "docs"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for name in FILES {
        collect(&root().join(name), &mut found);
    }
    assert!(found.len() > FILES.len());
    found.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), found);
        }
    } else if path.extension().is_some_and(|ending| ending == "md") {
        found.push(path.to_owned());
    }
}

#[test]
fn links_lead_to_files_that_exist() {
    let mut dead = Vec::new();
    for (path, text) in documents() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap();
            if !target.contains("://") && !file.is_empty() && !path.parent().unwrap().join(file).exists() {
                dead.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

#[test]
fn quoted_commands_parse() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (path, text) in documents() {
        for words in text.lines().flat_map(quoted_commands) {
            count += 1;
            if let Err(error) = kubectl_gitops::cli::command().try_get_matches_from(&words)
                && error.use_stderr()
            {
                wrong.push(format!("{}: {}\n{error}", path.display(), words.join(" ")));
            }
        }
    }
    assert!(count > 10, "found only {count} commands");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each row of the tables about compatibility names the tests that back it, and each of them exists.
#[test]
fn tests_that_tables_name_exist() {
    let known = known_tests();
    let (mut missing, mut count) = (Vec::new(), 0);
    for (path, text) in documents().iter().filter(|(path, _)| path.starts_with(root().join("docs/compat"))) {
        for (row, names) in named_tests(text) {
            count += names.len();
            if names.is_empty() {
                missing.push(format!("{}: no test backs {row}", path.display()));
            }
            let unknown = names.iter().filter(|name| !is_known(&known, name));
            missing.extend(unknown.map(|name| format!("{}: there is no test {name}", path.display())));
        }
        let elsewhere = backticked(text).filter(|name| looks_like_a_test(name) && !is_known(&known, name));
        missing.extend(elsewhere.map(|name| format!("{}: there is no test {name}", path.display())));
    }
    assert!(count > 100, "found only {count} names");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// Names of functions of tests, and of the folders and files of their cases.
fn known_tests() -> BTreeSet<String> {
    let (mut known, mut files) = (BTreeSet::new(), Vec::new());
    for folder in ["src", "tests"] {
        walk(&root().join(folder), &mut files);
    }
    for file in files {
        if file.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&file).unwrap();
            let functions = text.split("#[test]").chain(text.split("#[tokio::test")).skip(1);
            let name = |rest: &str| Some(rest.split_once("fn ")?.1.split_once('(')?.0.to_owned());
            known.extend(functions.filter_map(name));
        } else {
            let case = file.strip_prefix(root().join("tests")).into_iter().flat_map(Path::components);
            known.extend(case.map(|part| part.as_os_str().to_string_lossy().trim_end_matches(".yaml").to_owned()));
        }
    }
    known
}

fn walk(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            walk(&entry.unwrap().path(), found);
        }
    } else {
        found.push(path.to_owned());
    }
}

/// `name-*` stands for every case that begins so.
fn is_known(known: &BTreeSet<String>, name: &str) -> bool {
    match name.strip_suffix('*') {
        Some(beginning) => known.iter().any(|test| test.starts_with(beginning)),
        None => known.contains(name),
    }
}

/// Rows of tables whose last column is headed `Test`, each with the names in that column; not those that are not done yet.
fn named_tests(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut rows = Vec::new();
    let mut is_inside = false;
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        is_inside = line.starts_with('|') && (is_inside || cells.last() == Some(&"Test"));
        let is_done = !cells.iter().any(|cell| cell.starts_with("not yet"));
        if is_inside && is_done && cells.last() != Some(&"Test") && !line.starts_with("|---") {
            rows.push((cells[0], backticked(cells[cells.len() - 1]).filter(|name| is_a_name(name)).collect()));
        }
    }
    rows
}

fn backticked(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Not a piece of code in a remark beside the names.
fn is_a_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '*' | '.'))
}

/// A sentence in snake case. Names of metrics end otherwise.
fn looks_like_a_test(name: &str) -> bool {
    name.split('_').count() >= 4
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !["_total", "_seconds", "_info"].iter().any(|ending| name.ends_with(ending))
}

#[test]
fn rows_without_a_test_and_unknown_names_are_found() {
    let table = "| What | State | Test |\n|---|---|---|\n| a | same | `one`, `two-*` |\n| b | same | |\n| c | not yet | |\n\n| x | `y` |\n";
    assert_eq!(named_tests(table), [("a", vec!["one", "two-*"]), ("b", vec![])]);
    let known = BTreeSet::from(["one".to_owned(), "two-cases".to_owned()]);
    assert!(is_known(&known, "one") && is_known(&known, "two-*") && !is_known(&known, "two") && !is_known(&known, "on*e"));
    assert!(looks_like_a_test("the_label_binds_it") && !looks_like_a_test("http_request_duration_seconds"));
}

/// The words of each `kubectl gitops …` of a line of a console block, without pipes, redirections and comments.
fn quoted_commands(line: &str) -> Vec<Vec<String>> {
    let line = line.trim_start();
    if !line.starts_with("$ ") && !line.starts_with("| ") {
        return Vec::new();
    }
    line.split(['|', ';'])
        .filter_map(|command| command.trim_start_matches(['$', ' ']).strip_prefix("kubectl gitops"))
        .map(|rest| {
            let words = rest.split_whitespace().take_while(|word| !matches!(*word, "#" | "\\" | ">" | "<"));
            std::iter::once("kubectl gitops".to_owned()).chain(words.map(str::to_owned)).collect()
        })
        .collect()
}

#[test]
fn commands_are_found_in_lines() {
    let words = |line: &str| quoted_commands(line).into_iter().map(|words| words.join(" ")).collect::<Vec<_>>();
    assert_eq!(words("$ kubectl gitops diff NAME   # what differs"), ["kubectl gitops diff NAME"]);
    assert_eq!(words("$ kubectl create x | kubectl gitops seal > db.yaml"), ["kubectl gitops seal"]);
    assert_eq!(words("  | kubectl gitops seal > db.yaml"), ["kubectl gitops seal"]);
    assert_eq!(words("`kubectl gitops seal` seals"), Vec::<String>::new());
}
