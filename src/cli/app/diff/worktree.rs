//! `diff` in a Git work tree: the Applications that use it, with their sources pointed at its files.

use std::path::Path;

use crate::api::application::ApplicationSource;
use crate::cli::app::{App, list_apps};
use crate::cli::worktree::{Borrowed, below};
use crate::cli::{Context, Failure};
use crate::source::same_repository;

/// The Applications that use the work tree around a folder, as if its files were committed. The repository must live as long as
/// they are compared.
pub(super) async fn apps_here(folder: &Path, cx: &Context) -> Result<(Vec<App>, Borrowed), Failure> {
    let borrowed = Borrowed::of(folder)?;
    let path = below(borrowed.top(), folder).unwrap_or_else(|| ".".to_owned());
    let remotes = borrowed.remotes()?;
    let Some(first) = remotes.first() else {
        return Err(Failure::new(format!("{} has no remote, so no Application can be found for it", borrowed.top().display()))
            .with_hint("name one: kubectl gitops diff NAME --local ."));
    };
    let apps = match list_apps(cx, true, None).await {
        Ok(apps) => apps,
        Err(_) => list_apps(cx, false, None).await?,
    };
    let users = users(apps, &remotes, &path)?;
    if users.is_empty() {
        return Err(Failure::new(format!("no Application uses {first}:{path}")).with_hint("kubectl gitops app list -A -o wide"));
    }
    let commit = borrowed.files()?;
    let redirected = users.into_iter().map(|app| redirect(app, &remotes, &borrowed.url(), &commit)).collect();
    Ok((redirected, borrowed))
}

/// Named Applications, as if their source were this folder.
pub(super) fn local(apps: Vec<App>, folder: &Path) -> Result<(Vec<App>, Borrowed), Failure> {
    let borrowed = Borrowed::of(folder)?;
    let path = below(borrowed.top(), folder)
        .ok_or_else(|| Failure::new(format!("{} is in no Git work tree", folder.display())).with_hint("git init"))?;
    let commit = borrowed.files()?;
    let point = |mut app: App| {
        let name = app.full_name();
        match app.app.spec.source.as_mut().filter(|_| app.app.spec.sources.is_empty()) {
            Some(source) => {
                point_at(source, &borrowed.url(), &commit);
                source.path.clone_from(&path);
                source.chart.clear();
                Ok(app)
            }
            None => Err(Failure::new(format!("{name} has several sources; one folder cannot stand for all of them"))),
        }
    };
    let apps = apps.into_iter().map(point).collect::<Result<Vec<_>, Failure>>()?;
    Ok((apps, borrowed))
}

fn point_at(source: &mut ApplicationSource, url: &str, commit: &str) {
    url.clone_into(&mut source.repo_url);
    commit.clone_into(&mut source.target_revision);
}

/// The Application with the sources that come from one of the remotes pointed at a commit of the borrowed repository.
pub(in crate::cli::app) fn redirect(mut app: App, remotes: &[String], url: &str, commit: &str) -> App {
    let spec = &mut app.app.spec;
    let sources = spec.source.iter_mut().chain(spec.sources.iter_mut());
    sources.filter(|source| is_of(source, remotes)).for_each(|source| point_at(source, url, commit));
    app
}

fn is_of(source: &ApplicationSource, remotes: &[String]) -> bool {
    remotes.iter().any(|remote| same_repository(remote, &source.repo_url))
}

/// Those with a source in, at, or around the folder; of several at exactly this folder the user has to choose.
fn users(apps: Vec<App>, remotes: &[String], folder: &str) -> Result<Vec<App>, Failure> {
    let paths = |app: &App| -> Vec<String> {
        app.app.sources().iter().filter(|source| is_of(source, remotes)).map(|source| clean(&source.path)).collect()
    };
    let here = |path: &str| path == folder || is_below(path, folder) || is_below(folder, path);
    let found: Vec<App> = apps.into_iter().filter(|app| paths(app).iter().any(|path| here(path))).collect();
    let exact: Vec<&App> = found.iter().filter(|app| paths(app).iter().any(|path| path == folder)).collect();
    if folder != "." && exact.len() > 1 {
        let names = exact.iter().map(|app| app.name()).collect::<Vec<_>>().join(", ");
        let hint = format!("kubectl gitops diff {} --local .", exact[0].full_name());
        return Err(Failure::new(format!("{} Applications use this directory: {names}", exact.len())).with_hint(hint));
    }
    Ok(found)
}

fn clean(path: &str) -> String {
    let path = path.trim_start_matches("./").trim_matches('/');
    if path.is_empty() { ".".to_owned() } else { path.to_owned() }
}

fn is_below(path: &str, folder: &str) -> bool {
    folder == "." || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::cli::app::model::tests::app;
    use serde_json::json;

    const REMOTE: &str = "git@git.example:acme/infra.git";

    fn with(name: &str, url: &str, path: &str) -> App {
        app(json!({ "metadata": { "name": name, "namespace": "argocd" },
            "spec": { "project": "default", "destination": {}, "source": { "repoURL": url, "path": path } } }))
    }

    fn found(folder: &str, apps: &[(&str, &str, &str)]) -> Result<Vec<String>, String> {
        let apps = apps.iter().map(|(name, url, path)| with(name, url, path)).collect();
        let users = users(apps, &[REMOTE.to_owned()], folder).map_err(|failure| failure.what)?;
        Ok(users.iter().map(|app| app.name().to_owned()).collect())
    }

    #[test]
    fn the_folder_decides_which_applications_are_meant() {
        let ssh = "ssh://git@git.example/acme/infra";
        let apps =
            [("web", ssh, "apps/web"), ("api", REMOTE, "apps/api/"), ("other", "https://git.example/else.git", "apps/web")];
        assert_eq!(found("apps/web", &apps).unwrap(), ["web"]);
        assert_eq!(found("apps/web/base", &apps).unwrap(), ["web"]);
        assert_eq!(found("apps", &apps).unwrap(), ["web", "api"]);
        assert_eq!(found(".", &apps).unwrap(), ["web", "api"]);
        assert!(found("docs", &apps).unwrap().is_empty());
        assert!(found("apps/we", &apps).unwrap().is_empty());
    }

    #[test]
    fn of_two_at_the_same_folder_one_must_be_chosen() {
        let apps = [("web-prod", REMOTE, "apps/web"), ("web-stage", REMOTE, "apps/web")];
        assert_eq!(found("apps/web", &apps), Err("2 Applications use this directory: web-prod, web-stage".to_owned()));
        assert_eq!(found("apps", &apps).unwrap().len(), 2);
    }

    #[test]
    fn only_sources_of_this_repository_are_pointed_at_it() {
        let mut both = with("web", REMOTE, "a");
        both.app.spec.sources = vec![
            ApplicationSource { repo_url: REMOTE.into(), path: "a".into(), ..ApplicationSource::default() },
            ApplicationSource { repo_url: "https://git.example/else".into(), ..ApplicationSource::default() },
        ];
        let app = redirect(both, &[REMOTE.to_owned()], "file:///tmp/x", "abc");
        let urls: Vec<&str> = app.app.spec.sources.iter().map(|source| source.repo_url.as_str()).collect();
        assert_eq!(urls, ["file:///tmp/x", "https://git.example/else"]);
        assert_eq!(app.app.spec.sources[0].target_revision, "abc");
    }
}
