//! `tests/fixtures/sync-windows/*.yaml`: windows, an Application's names, and what may happen at which time.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::*;
use crate::api::application::ApplicationDestination;
use crate::resource::yaml;

#[derive(Deserialize)]
struct Case {
    windows: Vec<SyncWindow>,
    /// `name, namespace, cluster name, server`; absent is `web`, `prod`, the local cluster by server.
    #[serde(default)]
    app: Names,
    expect: Vec<Expectation>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Names {
    name: String,
    namespace: String,
    cluster: String,
    server: String,
}

#[derive(Deserialize)]
struct Expectation {
    at: Timestamp,
    #[serde(default)]
    started: Option<Timestamp>,
    /// `open`, `held`, or the text of an error.
    auto: String,
    manual: String,
    /// Seconds until a window begins or ends.
    #[serde(default)]
    change: Option<u64>,
}

fn app(names: &Names) -> Application {
    let or = |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
    let mut app = Application::default();
    app.metadata.name = Some(or(&names.name, "web"));
    app.spec.destination = ApplicationDestination {
        name: names.cluster.clone(),
        server: if names.cluster.is_empty() { or(&names.server, "https://kubernetes.default.svc") } else { String::new() },
        namespace: or(&names.namespace, "prod"),
    };
    app
}

#[test]
fn every_window_opens_and_closes_when_it_should() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sync-windows");
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let case: Case = serde_json::from_value(yaml::parse_one(&fs::read_to_string(&file).unwrap()).unwrap()).unwrap();
        let mut project = AppProject::default();
        project.spec.sync_windows = case.windows;
        let windows = of(&project, &app(&case.app));
        for one in case.expect {
            let clock = Clock { now: one.at, zone: &|name| TimeZone::get(name).ok() };
            let told = |asker| match passage(&windows, asker, one.started, &clock) {
                Ok(Passage::Open) => "open".to_owned(),
                Ok(Passage::Held(_)) => "held".to_owned(),
                Err(error) => error.to_string(),
            };
            assert_eq!(told(Asker::Automation), one.auto, "{name} at {}", one.at);
            assert_eq!(told(Asker::Person), one.manual, "{name} at {} by hand", one.at);
            if let Some(change) = one.change {
                assert_eq!(next_change(&windows, &clock), Some(Duration::from_secs(change + 1)), "{name} at {}", one.at);
            }
        }
    }
}
