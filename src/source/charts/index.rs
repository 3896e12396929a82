//! `index.yaml` of a Helm repository. Pure.
//!
//! An index may hold tens of megabytes for thousands of charts, of which three fields matter: so it is read event by event, and
//! never becomes a tree of values.
//!
//! Source: Helm chart repositories, `apiVersion: v1`.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, StrInput};

/// One version of a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) version: String,
    /// Where it can be downloaded; relative ones are below the URL of the index.
    pub(super) urls: Vec<String>,
    /// SHA-256 in hexadecimal; empty when the index does not say.
    pub(super) digest: String,
    /// When it was put there.
    pub(super) created: String,
}

/// The charts of a repository, in the order of the index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) charts: BTreeMap<String, Vec<Release>>,
}

impl Index {
    /// Reads an index, YAML or JSON.
    ///
    /// # Errors
    /// What is wrong with it, with the line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parser = Parser::new_from_str_with_options(text, granit_parser::options! { emit_comments: false });
        let mut reader = Reader { parser, line: 1 };
        let root = loop {
            match reader.next()? {
                Event::StreamStart | Event::DocumentStart(..) => {}
                event => break event,
            }
        };
        let mut charts = None;
        if !matches!(root, Event::MappingStart(..)) {
            return Err(reader.problem("it is no map"));
        }
        reader.map(&mut |reader, key, value| {
            if key != "entries" {
                return reader.skip(&value);
            }
            let mut found = BTreeMap::new();
            match value {
                Event::MappingStart(..) => reader.map(&mut |reader, chart, releases| {
                    found.insert(chart, reader.releases(&releases)?);
                    Ok(())
                })?,
                // `entries: null` of an empty repository.
                Event::Scalar(..) => {}
                _ => return Err(reader.problem("`entries` is no map")),
            }
            charts = Some(found);
            Ok(())
        })?;
        charts.map(|charts| Self { charts }).ok_or_else(|| "it has no `entries`".to_owned())
    }

    /// The versions of a chart; `None` when there is no such chart.
    pub(super) fn releases(&self, chart: &str) -> Option<&[Release]> {
        self.charts.get(chart).map(Vec::as_slice)
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    line: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>, String> {
        match self.parser.next() {
            Some(Ok((event, span))) => {
                self.line = span.start.line();
                Ok(event)
            }
            Some(Err(error)) => Err(format!("line {}: {}", error.marker().line(), error.info())),
            None => Ok(Event::StreamEnd),
        }
    }

    fn problem(&self, text: &str) -> String {
        format!("line {}: {text}", self.line)
    }

    /// Hands out the entries of a map that has begun; each value has to be used up.
    fn map(&mut self, entry: &mut dyn FnMut(&mut Self, String, Event<'a>) -> Result<(), String>) -> Result<(), String> {
        loop {
            let key = match self.next()? {
                Event::MappingEnd => return Ok(()),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(self.problem("a key is no text")),
            };
            let value = self.next()?;
            entry(self, key, value)?;
        }
    }

    fn releases(&mut self, start: &Event<'a>) -> Result<Vec<Release>, String> {
        let mut releases = Vec::new();
        if !matches!(start, Event::SequenceStart(..)) {
            self.skip(start)?;
            return Ok(releases);
        }
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(releases),
                Event::MappingStart(..) => {
                    let release = self.release()?;
                    // Helm passes over an entry that says nothing, too.
                    releases.extend(Some(release).filter(|release| !release.version.is_empty()));
                }
                other => self.skip(&other)?,
            }
        }
    }

    fn release(&mut self) -> Result<Release, String> {
        let mut release = Release::default();
        self.map(&mut |reader, key, value| {
            match (key.as_str(), &value) {
                ("version", Event::Scalar(text, ..)) => release.version = text.to_string(),
                ("digest", Event::Scalar(text, ..)) => release.digest = text.trim_start_matches("sha256:").to_ascii_lowercase(),
                ("created", Event::Scalar(text, ..)) => release.created = text.to_string(),
                ("urls", Event::SequenceStart(..)) => loop {
                    match reader.next()? {
                        Event::SequenceEnd => return Ok(()),
                        Event::Scalar(text, ..) => release.urls.push(text.to_string()),
                        other => reader.skip(&other)?,
                    }
                },
                _ => return reader.skip(&value),
            }
            Ok(())
        })?;
        Ok(release)
    }

    /// Reads to the end of a value whose first event is this.
    fn skip(&mut self, start: &Event<'a>) -> Result<(), String> {
        let mut open = usize::from(matches!(start, Event::MappingStart(..) | Event::SequenceStart(..)));
        while open > 0 {
            match self.next()? {
                Event::MappingStart(..) | Event::SequenceStart(..) => open += 1,
                Event::MappingEnd | Event::SequenceEnd => open -= 1,
                Event::StreamEnd => return Err(self.problem("it ends too early")),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const INDEX: &str = r#"
apiVersion: v1
generated: 2026-01-01T00:00:00Z
entries:
  web:
    - name: web
      version: 1.2.3
      created: "2026-01-01T00:00:00Z"
      digest: "sha256:ABCD"
      keywords: [a, [b], {c: d}]
      dependencies:
        - {name: db, version: 1.x, repository: "https://elsewhere.example", urls: [no]}
      urls: [web-1.2.3.tgz]
    - {name: web, version: "1.10", urls: ["https://cdn.example/web-1.10.tgz", second]}
    - {name: web}
  empty: []
  nothing:
serverInfo: {contextPath: /x}
"#;

    #[test]
    fn reads_what_matters() {
        let index = Index::parse(INDEX).unwrap();
        let web = index.releases("web").unwrap();
        assert_eq!(web.len(), 2);
        assert_eq!((web[0].version.as_str(), web[0].digest.as_str()), ("1.2.3", "abcd"));
        assert_eq!(
            (web[0].urls.as_slice(), web[0].created.as_str()),
            (["web-1.2.3.tgz".to_owned()].as_slice(), "2026-01-01T00:00:00Z")
        );
        assert_eq!((web[1].version.as_str(), web[1].urls.len()), ("1.10", 2));
        assert_eq!(index.releases("empty"), Some([].as_slice()));
        assert_eq!(index.releases("absent"), None);
        let json = r#"{"apiVersion":"v1","entries":{"web":[{"version":"1.0.0","urls":["a"]}]}}"#;
        assert_eq!(Index::parse(json).unwrap().releases("web").unwrap().len(), 1);
        assert_eq!(Index::parse("entries: {}").unwrap(), Index::default());
    }

    #[test]
    fn what_is_no_index_is_refused() {
        for (text, expected) in [
            ("<html>sign in</html>", "no map"),
            ("apiVersion: v1\n", "no `entries`"),
            ("entries: [a]\n", "line 1: `entries` is no map"),
            ("entries:\n  web:\n  - version: [1\n", "line "),
            ("", "no map"),
        ] {
            let problem = Index::parse(text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }
}
