//! Which Applications a command is about, and reading them.

use clap::Args;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};

use crate::api::Application;
use crate::cli::{Context, Failure};
use crate::ui::nearest::nearest;

use super::App;

/// How many objects one page of a list holds: half of kubectl's chunk size, so that something is seen soon.
const PAGE: u32 = 250;

/// One Application by namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AppRef {
    /// Namespace of the Application itself.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl AppRef {
    /// Reads `NAME`, `NAMESPACE/NAME`, or what `-o name` prints.
    ///
    /// # Errors
    /// When the text is none of these, or the namespaces contradict each other.
    pub fn parse(text: &str, cx: &Context) -> Result<Self, Failure> {
        let bare = ["application.argoproj.io/", "applications.argoproj.io/"].iter().find_map(|kind| text.strip_prefix(kind));
        let text = bare.unwrap_or(text);
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (namespace.to_owned(), name),
            None => (cx.application_namespace(), text),
        };
        if name.is_empty() || name.contains('/') || namespace.is_empty() {
            return Err(Failure::new(format!("{text:?} does not name an Application")).with_hint("write NAME or NAMESPACE/NAME"));
        }
        if let Some(flag) = cx.flags.namespace.as_ref().filter(|flag| **flag != namespace) {
            return Err(
                Failure::new(format!("{text:?} names another namespace than -n {flag}")).with_hint("leave one of them out")
            );
        }
        Ok(Self { namespace, name: name.to_owned() })
    }
}

impl std::fmt::Display for AppRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Which Applications a command is about.
#[derive(Debug, Clone, Default, Args)]
pub struct Selection {
    /// Applications, as NAME or NAMESPACE/NAME
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Applications whose labels match, for example team=shop
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "names")]
    pub selector: Option<String>,
    /// Applications of this project
    #[arg(short, long, value_name = "PROJECT", conflicts_with = "names")]
    pub project: Option<String>,
    /// Applications in all namespaces
    #[arg(short = 'A', long, conflicts_with = "names")]
    pub all_namespaces: bool,
}

impl Selection {
    /// True when the command line chooses nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.names.is_empty() && self.selector.is_none() && self.project.is_none() && !self.all_namespaces
    }

    /// Reads the chosen Applications.
    ///
    /// # Errors
    /// When the API server refuses, or a named Application does not exist.
    pub async fn read(&self, cx: &Context) -> Result<Vec<App>, Failure> {
        if self.names.is_empty() {
            let mut apps = list(cx, self.all_namespaces, self.selector.as_deref()).await?;
            apps.retain(|app| self.project.as_deref().is_none_or(|project| app.app.project() == project));
            return Ok(apps);
        }
        let mut apps = Vec::new();
        for name in &self.names {
            apps.push(get(cx, &AppRef::parse(name, cx)?).await?);
        }
        Ok(apps)
    }

    /// As [`Selection::read`], for commands that act: choosing nothing is an error, and so is finding nothing.
    ///
    /// # Errors
    /// As [`Selection::read`].
    pub async fn read_some(&self, cx: &Context) -> Result<Vec<App>, Failure> {
        if self.is_empty() {
            return Err(
                Failure::new("no Application is named").with_hint("name one, or choose with -l SELECTOR, -p PROJECT or -A")
            );
        }
        let apps = self.read(cx).await?;
        if apps.is_empty() {
            return Err(Failure::new("no Application matches").with_hint("kubectl gitops app list -A"));
        }
        Ok(apps)
    }
}

/// The API of Applications in one namespace.
#[must_use]
pub fn api(client: kube::Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client, namespace, &ApiResource::erase::<Application>(&()))
}

/// The API of Applications in all namespaces.
#[must_use]
pub fn api_all(client: kube::Client) -> Api<DynamicObject> {
    Api::all_with(client, &ApiResource::erase::<Application>(&()))
}

/// Reads one Application.
///
/// # Errors
/// When it does not exist, with the nearest name; when the API server refuses.
pub async fn get(cx: &Context, app: &AppRef) -> Result<App, Failure> {
    let found = api(cx.client().await?, &app.namespace).get_opt(&app.name).await;
    match found {
        Ok(Some(object)) => Ok(App::from(object)),
        Ok(None) => Err(not_found(cx, app).await),
        Err(error) => Err(cx.explain(&error, &format!("read application {:?} in {:?}", app.name, app.namespace))),
    }
}

/// Says that an Application does not exist, and which one may have been meant.
///
/// Whether the custom resource exists at all shows only here: the API server answers 404 to both.
async fn not_found(cx: &Context, app: &AppRef) -> Failure {
    let missing = Failure::new(format!("application {:?} not found in {:?}", app.name, app.namespace));
    let near = match list(cx, false, None).await {
        Ok(near) => near,
        Err(refused) if refused.hint.is_some() => return refused,
        Err(_) => return missing,
    };
    let names: Vec<&str> = near.iter().filter(|one| one.app.namespace() == app.namespace).map(App::name).collect();
    if let Some(close) = nearest(&app.name, names.iter().copied()) {
        return missing.with_hint(format!("did you mean {close:?}?"));
    }
    let everywhere = list(cx, true, None).await.unwrap_or_default();
    match everywhere.iter().find(|other| other.name() == app.name) {
        Some(other) => missing.with_hint(format!("did you mean {:?}?", other.full_name())),
        None => missing.with_hint("kubectl gitops app list -A"),
    }
}

/// Lists Applications, the worst first.
///
/// # Errors
/// When the API server refuses.
pub async fn list(cx: &Context, all_namespaces: bool, selector: Option<&str>) -> Result<Vec<App>, Failure> {
    let mut apps = Vec::new();
    each_page(cx, all_namespaces, selector, |page| apps.extend(page)).await?;
    apps.sort_by_key(App::order);
    Ok(apps)
}

/// Lists Applications and gives each page as it comes, in itself the worst first.
///
/// # Errors
/// When the API server refuses.
pub async fn each_page(
    cx: &Context,
    all_namespaces: bool,
    selector: Option<&str>,
    mut take: impl FnMut(Vec<App>),
) -> Result<(), Failure> {
    let namespace = cx.application_namespace();
    let client = cx.client().await?;
    let api = if all_namespaces { api_all(client) } else { api(client, &namespace) };
    let mut page = ListParams::default().limit(PAGE);
    if let Some(selector) = selector {
        page = page.labels(selector);
    }
    loop {
        let answer = api.list(&page).await.map_err(|error| explain_list(cx, &error, all_namespaces, &namespace))?;
        let mut apps: Vec<App> = answer.items.into_iter().map(App::from).collect();
        apps.sort_by_key(App::order);
        take(apps);
        match answer.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(()),
        }
    }
}

fn explain_list(cx: &Context, error: &kube::Error, all_namespaces: bool, namespace: &str) -> Failure {
    let place = if all_namespaces { "all namespaces".to_owned() } else { format!("namespace {namespace:?}") };
    let failure = cx.explain(error, &format!("list applications in {place}"));
    match error {
        kube::Error::Api(status) if status.code == 403 && all_namespaces => {
            failure.with_hint("name one namespace that you may read: -n NAMESPACE")
        }
        kube::Error::Api(status) if status.code == 400 => {
            failure.with_hint("check the selector, for example -l 'team=shop,tier!=test'")
        }
        _ => failure,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::cli::GlobalFlags;

    fn context(namespace: Option<&str>) -> Context {
        Context::new(GlobalFlags {
            namespace: namespace.map(str::to_owned),
            controller_namespace: "argocd".into(),
            ..GlobalFlags::default()
        })
    }

    #[test]
    fn names_come_with_and_without_their_namespace() {
        for (text, flag, expected) in [
            ("web", None, "argocd/web"),
            ("team/web", None, "team/web"),
            ("web", Some("team"), "team/web"),
            ("application.argoproj.io/web", None, "argocd/web"),
        ] {
            assert_eq!(AppRef::parse(text, &context(flag)).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn contradictions_and_nonsense_are_refused() {
        assert_eq!(AppRef::parse("a/web", &context(Some("b"))).unwrap_err().what, "\"a/web\" names another namespace than -n b");
        for text in ["", "/", "a/", "/b", "a/b/c"] {
            assert!(AppRef::parse(text, &context(None)).is_err(), "{text}");
        }
    }
}
