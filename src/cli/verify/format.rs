//! Findings as SARIF 2.1.0 and as annotations of GitHub's workflow log.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::scan::{Finding, Level};

/// A SARIF log with one run.
pub fn sarif(findings: &[Finding]) -> Value {
    let rules: BTreeSet<&str> = findings.iter().map(|one| one.code).collect();
    let results: Vec<Value> = findings.iter().map(result).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "kubectl-gitops verify",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.into_iter().map(|id| json!({"id": id})).collect::<Vec<_>>(),
            }},
            "results": results,
        }],
    })
}

fn result(one: &Finding) -> Value {
    json!({
        "ruleId": one.code,
        "level": level(one.level),
        "message": {"text": text(one)},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": one.file.replace('\\', "/").replace('%', "%25").replace(' ', "%20")},
            "region": {"startLine": one.line.max(1)},
        }}],
    })
}

/// One line for each finding, as GitHub's runner reads it.
pub fn github(findings: &[Finding]) -> String {
    let escape = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| escape(text).replace(':', "%3A").replace(',', "%2C");
    let line = |one: &Finding| {
        let (level, file, title) = (level(one.level), property(&one.file), property(one.code));
        format!("::{level} file={file},line={},title={title}::{}\n", one.line, escape(&text(one)))
    };
    findings.iter().map(line).collect()
}

fn text(one: &Finding) -> String {
    one.hint.map_or_else(|| one.message.clone(), |hint| format!("{} ({hint})", one.message))
}

const fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn finding() -> Finding {
        let message = "50%\nof it".to_owned();
        Finding {
            file: "a b/c,d.yaml".into(),
            line: 12,
            level: Level::Error,
            code: "plain-secret",
            message,
            hint: Some("seal it"),
        }
    }

    /// The fields that the schema of SARIF 2.1.0 requires, and the values it permits.
    #[test]
    fn sarif_has_what_its_schema_requires() {
        let log = sarif(&[finding()]);
        assert_eq!(log["version"], "2.1.0");
        let run = &log["runs"][0];
        assert!(run["tool"]["driver"]["name"].is_string());
        assert_eq!(run["tool"]["driver"]["rules"], json!([{"id": "plain-secret"}]));
        let result = &run["results"][0];
        assert!(result["message"]["text"].is_string());
        assert!(["none", "note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20b/c,d.yaml");
        assert_eq!(place["region"]["startLine"], 12);
        assert_eq!(sarif(&[])["runs"][0]["results"], json!([]));
    }

    #[test]
    fn annotations_are_escaped() {
        assert_eq!(github(&[finding()]), "::error file=a b/c%2Cd.yaml,line=12,title=plain-secret::50%25%0Aof it (seal it)\n");
    }
}
