//! Following Applications through watches: what they are now, then every change. Nothing is polled.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures::stream::{BoxStream, SelectAll};
use futures::{Stream, StreamExt};
use kube::api::{Api, DynamicObject};
use kube::runtime::{WatchStreamExt, watcher};

use crate::cli::{Context, Failure};
use crate::ui::stream;

use super::{App, AppRef, select};

/// What happened to a followed Application.
#[derive(Debug, Clone)]
pub enum Change {
    /// It is like this now.
    Now(Box<App>),
    /// It is gone, or was never there.
    Gone(AppRef),
}

type Event = (String, watcher::Result<watcher::Event<DynamicObject>>);

/// Follows a set of Applications.
pub struct Follower {
    wanted: Wanted,
    streams: SelectAll<BoxStream<'static, Event>>,
    spaces: BTreeMap<String, Space>,
    queue: VecDeque<Change>,
    connection: Connection,
}

enum Wanted {
    These(BTreeSet<AppRef>),
    Everything,
}

/// What is known of one watch: the objects it has shown, and those of the list it is reading again.
#[derive(Default)]
struct Space {
    known: BTreeSet<AppRef>,
    listed: BTreeSet<AppRef>,
}

#[derive(PartialEq, Eq)]
enum Connection {
    Fine,
    Lost,
}

impl Follower {
    /// Follows these Applications: one watch for each namespace, for a single one narrowed to its name.
    ///
    /// # Errors
    /// When there is no usable kubeconfig.
    pub async fn these(cx: &Context, apps: impl IntoIterator<Item = AppRef>) -> Result<Self, Failure> {
        let client = cx.streaming_client().await?;
        let wanted: BTreeSet<AppRef> = apps.into_iter().collect();
        let mut names = BTreeMap::<&str, Vec<&str>>::new();
        for app in &wanted {
            names.entry(&app.namespace).or_default().push(&app.name);
        }
        let mut streams = SelectAll::new();
        for (namespace, names) in names {
            let config = match names.as_slice() {
                [only] => watcher::Config::default().fields(&format!("metadata.name={only}")),
                _ => watcher::Config::default(),
            };
            streams.push(watch(namespace, select::api(client.clone(), namespace), config));
        }
        Ok(Self::new(Wanted::These(wanted), streams))
    }

    /// Follows everything in one namespace, or in all, that the selector matches.
    ///
    /// # Errors
    /// When there is no usable kubeconfig.
    pub async fn everything(cx: &Context, namespace: Option<&str>, selector: Option<&str>) -> Result<Self, Failure> {
        let client = cx.streaming_client().await?;
        let config = selector.map_or_else(watcher::Config::default, |selector| watcher::Config::default().labels(selector));
        let api = namespace.map_or_else(|| select::api_all(client.clone()), |namespace| select::api(client.clone(), namespace));
        let mut streams = SelectAll::new();
        streams.push(watch("", api, config));
        Ok(Self::new(Wanted::Everything, streams))
    }

    fn new(wanted: Wanted, streams: SelectAll<BoxStream<'static, Event>>) -> Self {
        Self { wanted, streams, spaces: BTreeMap::new(), queue: VecDeque::new(), connection: Connection::Fine }
    }

    /// Waits for the next change; may be dropped and called again at any time.
    ///
    /// # Errors
    /// When the API server refuses for good. A lost connection is told on stderr and tried again.
    pub async fn next(&mut self, cx: &Context) -> Result<Change, Failure> {
        loop {
            if let Some(change) = self.queue.pop_front() {
                return Ok(change);
            }
            match self.streams.next().await {
                Some((namespace, Ok(event))) => self.take(namespace, event),
                Some((namespace, Err(error))) => self.failed(cx, &namespace, &error)?,
                None => return Err(Failure::new("the watch ended")),
            }
        }
    }

    fn take(&mut self, namespace: String, event: watcher::Event<DynamicObject>) {
        if self.connection == Connection::Lost {
            self.connection = Connection::Fine;
            stream::say("connected again");
        }
        match event {
            watcher::Event::Init => self.spaces.entry(namespace).or_default().listed.clear(),
            watcher::Event::InitApply(object) => self.saw(namespace, object, true),
            watcher::Event::Apply(object) => self.saw(namespace, object, false),
            watcher::Event::InitDone => self.list_is_complete(&namespace),
            watcher::Event::Delete(object) => {
                let gone = reference(&object);
                self.spaces.entry(namespace).or_default().known.remove(&gone);
                self.queue.extend(self.wants(&gone).then_some(Change::Gone(gone)));
            }
        }
    }

    fn saw(&mut self, namespace: String, object: DynamicObject, listing: bool) {
        let app = reference(&object);
        if !self.wants(&app) {
            return;
        }
        let space = self.spaces.entry(namespace).or_default();
        if listing {
            space.listed.insert(app.clone());
        }
        space.known.insert(app);
        self.queue.push_back(Change::Now(Box::new(App::from(object))));
    }

    /// After a list, what was wanted or known in this namespace and is not in it is gone.
    fn list_is_complete(&mut self, namespace: &str) {
        let space = self.spaces.entry(namespace.to_owned()).or_default();
        let mut expected = space.known.clone();
        if let Wanted::These(wanted) = &self.wanted {
            expected.extend(wanted.iter().filter(|app| app.namespace == namespace).cloned());
        }
        let listed = std::mem::take(&mut space.listed);
        self.queue.extend(expected.difference(&listed).cloned().map(Change::Gone));
        space.known = listed;
    }

    fn wants(&self, app: &AppRef) -> bool {
        match &self.wanted {
            Wanted::These(wanted) => wanted.contains(app),
            Wanted::Everything => true,
        }
    }

    fn failed(&mut self, cx: &Context, namespace: &str, error: &watcher::Error) -> Result<(), Failure> {
        if let Some(refusal) = refusal(error) {
            let place = if namespace.is_empty() { String::new() } else { format!(" in {namespace:?}") };
            return Err(cx.explain(refusal, &format!("watch applications{place}")));
        }
        if self.connection == Connection::Fine && is_connection_loss(error) {
            self.connection = Connection::Lost;
            stream::say(&format!("lost the connection to {}; trying again", cx.describe_server()));
        }
        Ok(())
    }
}

fn watch(namespace: &str, api: Api<DynamicObject>, config: watcher::Config) -> BoxStream<'static, Event> {
    let namespace = namespace.to_owned();
    tagged(namespace, watcher(api, config).default_backoff())
}

fn tagged(
    namespace: String,
    events: impl Stream<Item = watcher::Result<watcher::Event<DynamicObject>>> + Send + 'static,
) -> BoxStream<'static, Event> {
    events.map(move |event| (namespace.clone(), event)).boxed()
}

fn reference(object: &DynamicObject) -> AppRef {
    let metadata = &object.metadata;
    AppRef { namespace: metadata.namespace.clone().unwrap_or_default(), name: metadata.name.clone().unwrap_or_default() }
}

/// An answer that trying again does not change.
fn refusal(error: &watcher::Error) -> Option<&kube::Error> {
    let (watcher::Error::InitialListFailed(cause) | watcher::Error::WatchStartFailed(cause)) = error else { return None };
    matches!(cause, kube::Error::Api(status) if matches!(status.code, 400 | 401 | 403 | 404 | 405)).then_some(cause)
}

/// An expired resource version is part of watching and no loss.
fn is_connection_loss(error: &watcher::Error) -> bool {
    !matches!(error, watcher::Error::WatchError(status) if status.code == 410)
}

/// Waits for the next change, but not beyond the deadline.
///
/// # Errors
/// As [`Follower::next`].
pub async fn next_before(
    follower: &mut Follower,
    cx: &Context,
    deadline: Option<tokio::time::Instant>,
) -> Result<Option<Change>, Failure> {
    match deadline {
        None => follower.next(cx).await.map(Some),
        Some(deadline) => tokio::time::timeout_at(deadline, follower.next(cx)).await.ok().transpose(),
    }
}
