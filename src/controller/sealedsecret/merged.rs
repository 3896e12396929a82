//! Watches of several namespaces as one, so that rights in these namespaces suffice.
//!
//! A reflector knows one list. So the first lists are shown as one, and what a later list of one namespace says is shown as the
//! changes since. A namespace that may not be looked at, or is not there yet, holds nobody up: it is tried again for ever, and what
//! is in it then comes as news. (Sealed Secrets skips it until its next start.)

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{BoxStream, SelectAll, StreamExt as _};
use kube::Resource;
use kube::runtime::watcher::{self, Event};

use super::secrets::{Place, place_of};

/// What one watch tells.
type Told<K> = Result<Event<K>, watcher::Error>;
/// Where each object is, and in which version.
type Versions = BTreeMap<Place, Option<String>>;

/// Shows several watches, each of the namespace it is named for, as one; a single watch stays as it is.
///
/// `gone` makes an object of a place: what a deletion is told with that nobody has seen.
pub(super) fn merged<K: Resource + Send + 'static>(
    what: &'static str,
    mut watches: Vec<(Option<String>, BoxStream<'static, Told<K>>)>,
    gone: fn(&Place) -> K,
) -> BoxStream<'static, Told<K>> {
    if watches.len() == 1 {
        return watches.remove(0).1;
    }
    let mut merge = Merge::new(watches.len(), gone);
    let names: Vec<String> = watches.iter().map(|(namespace, _)| namespace.clone().unwrap_or_default()).collect();
    let all: SelectAll<_> =
        watches.into_iter().enumerate().map(|(index, (_, events))| events.map(move |told| (index, told)).boxed()).collect();
    let shown = all.map(move |(index, told)| {
        let events = match told {
            Ok(event) => merge.take(index, event),
            Err(error) if merge.lists[index].is_failing => {
                tracing::debug!(%error, namespace = names[index], "watching {what} failed again");
                Vec::new()
            }
            Err(error) => {
                tracing::warn!(%error, namespace = names[index], "watching {what} failed, trying again; other namespaces go on");
                merge.go_on_without(index)
            }
        };
        futures::stream::iter(events.into_iter().map(Ok))
    });
    shown.flatten().boxed()
}

/// What one watch has told.
#[derive(Default)]
struct List {
    known: Versions,
    /// Of the list that is being told.
    listed: Versions,
    /// It was told once, or nobody waits for it.
    is_done: bool,
    is_failing: bool,
}

struct Merge<K> {
    lists: Vec<List>,
    gone: fn(&Place) -> K,
    is_begun: bool,
    is_shown: bool,
    /// Gone while the first list was told.
    late: BTreeSet<Place>,
}

impl<K: Resource> Merge<K> {
    fn new(count: usize, gone: fn(&Place) -> K) -> Self {
        let lists = (0..count).map(|_| List::default()).collect();
        Self { lists, gone, is_begun: false, is_shown: false, late: BTreeSet::new() }
    }

    /// What is shown of an event of one watch.
    fn take(&mut self, index: usize, event: Event<K>) -> Vec<Event<K>> {
        let list = &mut self.lists[index];
        // Every attempt begins a list, also those that fail.
        list.is_failing &= matches!(event, Event::Init);
        match event {
            Event::Init => {
                list.listed.clear();
                self.begin().into_iter().collect()
            }
            Event::InitApply(object) => {
                let (place, version) = (place_of(object.meta()), object.meta().resource_version.clone());
                list.listed.insert(place.clone(), version.clone());
                let is_news = list.known.insert(place.clone(), version.clone()) != Some(version);
                if is_news || !self.is_shown { self.show(&place, object) } else { Vec::new() }
            }
            Event::Apply(object) => {
                let place = place_of(object.meta());
                list.known.insert(place.clone(), object.meta().resource_version.clone());
                self.show(&place, object)
            }
            Event::Delete(object) => {
                let place = place_of(object.meta());
                list.known.remove(&place);
                self.hide([place])
            }
            Event::InitDone => {
                list.is_done = true;
                let listed = std::mem::take(&mut list.listed);
                let before = std::mem::replace(&mut list.known, listed);
                let stale: Vec<Place> = before.into_keys().filter(|place| !self.lists[index].known.contains_key(place)).collect();
                let mut events = self.hide(stale);
                events.extend(self.end());
                events
            }
        }
    }

    /// Shows the others without this one, which will come as news.
    fn go_on_without(&mut self, index: usize) -> Vec<Event<K>> {
        (self.lists[index].is_done, self.lists[index].is_failing) = (true, true);
        self.end()
    }

    fn begin(&mut self) -> Option<Event<K>> {
        (!std::mem::replace(&mut self.is_begun, true)).then_some(Event::Init)
    }

    fn show(&mut self, place: &Place, object: K) -> Vec<Event<K>> {
        self.late.remove(place);
        vec![if self.is_shown { Event::Apply(object) } else { Event::InitApply(object) }]
    }

    fn hide(&mut self, places: impl IntoIterator<Item = Place>) -> Vec<Event<K>> {
        if !self.is_shown {
            self.late.extend(places);
            return Vec::new();
        }
        places.into_iter().map(|place| Event::Delete((self.gone)(&place))).collect()
    }

    /// The end of the first list, once every watch has told its own.
    fn end(&mut self) -> Vec<Event<K>> {
        if self.is_shown || !self.lists.iter().all(|list| list.is_done) {
            return Vec::new();
        }
        let mut events: Vec<_> = self.begin().into_iter().collect();
        self.is_shown = true;
        events.push(Event::InitDone);
        let late = std::mem::take(&mut self.late);
        events.extend(self.hide(late));
        events
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::core::ObjectMeta;

    use super::*;

    fn object(name: &str, version: &str) -> ConfigMap {
        let (namespace, name) = name.split_once('/').unwrap_or_default();
        let metadata = ObjectMeta {
            namespace: Some(namespace.into()),
            name: Some(name.into()),
            resource_version: Some(version.into()),
            ..ObjectMeta::default()
        };
        ConfigMap { metadata, ..ConfigMap::default() }
    }

    fn gone((namespace, name): &Place) -> ConfigMap {
        object(&format!("{namespace}/{name}"), "")
    }

    fn shown(events: Vec<Event<ConfigMap>>) -> Vec<String> {
        let name = |object: &ConfigMap| {
            let (namespace, name) = place_of(&object.metadata);
            format!("{namespace}/{name}")
        };
        let text = |event: &Event<ConfigMap>| match event {
            Event::Init => "begin".to_owned(),
            Event::InitDone => "end".to_owned(),
            Event::InitApply(object) => format!("list {}", name(object)),
            Event::Apply(object) => format!("set {}", name(object)),
            Event::Delete(object) => format!("gone {}", name(object)),
        };
        events.iter().map(text).collect()
    }

    fn of(merge: &mut Merge<ConfigMap>, events: Vec<(usize, Event<ConfigMap>)>) -> Vec<String> {
        events.into_iter().flat_map(|(index, event)| shown(merge.take(index, event))).collect()
    }

    #[test]
    fn the_first_lists_are_shown_as_one_and_a_later_one_as_its_changes() {
        let mut merge = Merge::new(2, gone);
        let first = vec![
            (0, Event::Init),
            (0, Event::InitApply(object("a/old", "1"))),
            (0, Event::InitApply(object("a/same", "1"))),
            (0, Event::InitApply(object("a/brief", "1"))),
            (0, Event::InitDone),
            (0, Event::Delete(object("a/brief", "1"))),
            (1, Event::Init),
            (1, Event::InitApply(object("b/one", "1"))),
            (1, Event::InitDone),
        ];
        let expected =
            ["begin", "list a/old", "list a/same", "list a/brief", "list b/one", "end", "gone a/brief"].map(str::to_owned);
        assert_eq!(of(&mut merge, first), expected);
        let again = vec![
            (0, Event::Init),
            (0, Event::InitApply(object("a/same", "1"))),
            (0, Event::InitApply(object("a/new", "2"))),
            (0, Event::InitDone),
            (1, Event::Apply(object("b/one", "2"))),
        ];
        assert_eq!(of(&mut merge, again), ["set a/new", "gone a/old", "set b/one"]);
    }

    #[test]
    fn a_namespace_that_cannot_be_watched_holds_nobody_up_and_comes_as_news() {
        let mut merge = Merge::new(2, gone);
        assert_eq!(shown(merge.go_on_without(1)), [""; 0]);
        assert_eq!(of(&mut merge, vec![(1, Event::Init)]), ["begin"]);
        assert!(merge.lists[1].is_failing, "the same failure is not told again");
        let first = vec![(0, Event::Init), (0, Event::InitApply(object("a/one", "1"))), (0, Event::InitDone)];
        assert_eq!(of(&mut merge, first), ["list a/one", "end"]);
        let late = vec![(1, Event::Init), (1, Event::InitApply(object("b/one", "1"))), (1, Event::InitDone)];
        assert_eq!(of(&mut merge, late), ["set b/one"]);
        assert!(!merge.lists[1].is_failing, "another failure is told again");
    }
}
