//! The documents hold what they promise: links lead somewhere, commands parse.

#![expect(clippy::unwrap_used, reason = "tests")]

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
