//! Applications that the controller cannot compare: a repository that does not answer, a source that does not render.

use super::{Check, Status};
use crate::cli::Context;
use crate::cli::app::{App, list_apps};

pub async fn check(cx: &Context) -> Vec<Check> {
    match list_apps(cx, true, None).await {
        Ok(apps) => judge(&apps),
        // Whoever may see one namespace only has that.
        Err(_) => match list_apps(cx, false, None).await {
            Ok(apps) => judge(&apps),
            Err(failure) => vec![Check::refused("apps", Status::Warn, &failure)],
        },
    }
}

fn judge(apps: &[App]) -> Vec<Check> {
    let error = |app: &App| {
        let conditions = app.status().map(|status| status.conditions.as_slice()).unwrap_or_default();
        conditions.iter().find(|one| one.type_.ends_with("Error")).map(|one| format!("{}: {}", one.type_, one.message))
    };
    let broken: Vec<(&App, String)> = apps.iter().filter_map(|app| Some((app, error(app)?))).collect();
    if broken.is_empty() {
        return vec![Check::ok("apps", format!("Applications: {}, none with an error", apps.len()))];
    }
    let describe = |(app, error): &(&App, String)| {
        Check::fail("apps", format!("{}: {error}", app.full_name()), format!("kubectl gitops app get {}", app.full_name()))
    };
    broken.iter().map(describe).collect()
}
