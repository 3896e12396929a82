//! Reads what the controller has used: requests from the audit log and the Git server, time and memory from `/proc`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use crate::fleet::REPOSITORY;
use crate::support::audit::{AuditEntry, Mark};
use crate::world::World;

/// Without a request for so long, the controller has nothing left to do. Longer than its delays, shorter than a poll.
const QUIET: Duration = Duration::from_secs(10);

/// `sysconf(_SC_CLK_TCK)`, which the kernel's interface fixes for all architectures that we build for.
const TICKS_PER_SECOND: f64 = 100.0;

/// What was used between two moments.
#[derive(Debug)]
pub struct Usage {
    /// Requests to the API server. A watch counts when it starts.
    pub requests: Requests,
    /// Questions for the refs of the repository: one per poll.
    pub ls_refs: usize,
    /// Fetches of its objects.
    pub fetches: usize,
    /// Processor time in user and kernel mode, with that of children that have ended.
    pub cpu_seconds: f64,
}

/// Numbers of requests, by verb and by what they were about.
#[derive(Debug, Default)]
pub struct Requests(BTreeMap<(String, String), usize>);

impl Requests {
    /// One entry per verb and kind of object: `patch`, `deployments.dry_run`.
    pub fn by_object(&self) -> impl Iterator<Item = (&str, &str, usize)> {
        self.0.iter().map(|((verb, object), count)| (verb.as_str(), object.as_str(), *count))
    }

    /// One entry per verb.
    pub fn by_verb(&self) -> BTreeMap<&str, usize> {
        self.by_object().fold(BTreeMap::new(), |mut sums, (verb, _, count)| {
            *sums.entry(verb).or_default() += count;
            sums
        })
    }

    /// Requests beside watches.
    pub fn asked(&self) -> usize {
        self.by_verb().iter().filter(|(verb, _)| **verb != "watch").map(|(_, count)| count).sum()
    }

    /// Requests that change something. A question that the API takes as a creation, such as an access review, counts: it is one
    /// that need not be asked while nothing changes.
    pub fn writes(&self) -> usize {
        let reads = ["get", "list", "watch"];
        self.by_verb().iter().filter(|(verb, _)| !reads.contains(*verb)).map(|(_, count)| count).sum()
    }

    fn add(&mut self, entry: &AuditEntry) {
        let subresource = Some(&entry.subresource).filter(|name| !name.is_empty()).map(|name| format!(".{name}"));
        let dry_run = if entry.uri.contains("dryRun=All") { ".dry_run" } else { "" };
        // Discovery and the like are about no object.
        let resource = if entry.resource.is_empty() { "other_paths" } else { &entry.resource };
        let object = format!("{resource}{}{dry_run}", subresource.unwrap_or_default());
        *self.0.entry((entry.verb.clone(), object)).or_default() += 1;
    }
}

impl fmt::Display for Requests {
    /// `2 get secrets, 1 patch applications`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each: Vec<String> = self.by_object().map(|(verb, object, count)| format!("{count} {verb} {object}")).collect();
        f.write_str(&each.join(", "))
    }
}

/// A measurement that has begun.
pub struct Meter {
    mark: Mark,
    ls_refs: usize,
    fetches: usize,
    cpu_seconds: f64,
}

impl Meter {
    /// Begins.
    pub async fn start(world: &mut World) -> Self {
        let mark = world.cluster.audit().mark().await;
        let (ls_refs, fetches) = (world.git.ls_refs(REPOSITORY), world.git.fetches(REPOSITORY));
        Self { mark, ls_refs, fetches, cpu_seconds: cpu_seconds(world) }
    }

    /// Ends.
    pub async fn stop(self, world: &mut World) -> Usage {
        let cpu_seconds = cpu_seconds(world) - self.cpu_seconds;
        let (ls_refs, fetches) = (world.git.ls_refs(REPOSITORY) - self.ls_refs, world.git.fetches(REPOSITORY) - self.fetches);
        Usage { requests: requests(world, self.mark).await, ls_refs, fetches, cpu_seconds }
    }
}

/// Waits until the controller has asked for nothing for [`QUIET`], and tells how long that took, without it.
///
/// # Panics
/// After `timeout`, with what it asks for.
pub async fn quiet(world: &World, timeout: Duration) -> Duration {
    let begun = Instant::now();
    loop {
        let (mark, since) = (world.cluster.audit().mark().await, begun.elapsed());
        tokio::time::sleep(QUIET).await;
        let requests = requests(world, mark).await;
        if requests.asked() == 0 {
            return since;
        }
        assert!(begun.elapsed() < timeout, "the controller does not become quiet: {requests} in {} s", QUIET.as_secs());
    }
}

async fn requests(world: &World, mark: Mark) -> Requests {
    let mut requests = Requests::default();
    for entry in world.cluster.audit().of_user_since(&World::user(), mark).await {
        // A watch is logged once more when it ends.
        if entry.verb != "watch" || entry.stage == "ResponseStarted" {
            requests.add(&entry);
        }
    }
    requests
}

/// Resident memory in KiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// All of it, with the pages of the program itself that were touched.
    pub resident: u64,
    /// What the program has allocated: heap and stacks.
    pub anonymous: u64,
}

/// Reads the controller's memory.
pub fn memory(world: &mut World) -> Memory {
    let status = proc_file(world, "status");
    let kib = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_else(|| panic!("no {field} in {status}"))
    };
    Memory { resident: kib("VmRSS"), anonymous: kib("RssAnon") }
}

fn cpu_seconds(world: &mut World) -> f64 {
    let stat = proc_file(world, "stat");
    // The program's name in field 2 may contain anything, so counting starts after it, at field 3.
    let (_, rest) = stat.rsplit_once(") ").expect("the kernel writes the name in parentheses");
    let ticks = rest.split(' ').skip(14 - 3).take(4).map(|field| field.parse::<f64>().expect("times are numbers"));
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

fn proc_file(world: &mut World, name: &str) -> String {
    let path = format!("/proc/{}/{name}", world.controller.process().id().pid);
    std::fs::read_to_string(&path)
        .unwrap_or_else(|cause| panic!("the controller has ended: {path}: {cause}\n{}", world.controller.log()))
}
