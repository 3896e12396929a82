//! The supervisor as the process that started it sees it.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use kubectl_gitops::cli::{Exit, Failure};
use kubectl_gitops::ui::stream;

use super::Layout;
use super::record::{Record, sweep_abandoned};
use super::supervisor::{Order, Report};
use crate::support::cluster::Cluster;
use crate::support::controller::program;
use crate::support::process::tail;
use crate::support::signal::ProcessId;

/// A throw-away control plane. It ends with this value, or with this process, whichever comes first and however it comes.
pub struct Plane {
    layout: Layout,
    supervisor: Option<Supervisor>,
}

impl Plane {
    /// Starts one and waits until it is ready.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start() -> Result<Self, Failure> {
        sweep_abandoned();
        let layout = Layout::temporary()?;
        let mut supervisor = Supervisor::start(&layout)?;
        supervisor.wait_ready()?;
        Ok(Self { layout, supervisor: Some(supervisor) })
    }

    /// Where it keeps what.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The plane as tests use it; `None` when it has ended already.
    pub fn cluster(&self) -> Option<Cluster> {
        Cluster::at(&self.layout.dir)
    }

    /// Has a process group ended should this process vanish.
    pub fn guard(&mut self, group: ProcessId) {
        self.order(&Order::Guard(group));
    }

    /// The process has been waited for; its number may be used again.
    pub fn release(&mut self, group: ProcessId) {
        self.order(&Order::Release(group));
    }

    /// Tells whether all its programs run.
    pub fn is_live(&self) -> bool {
        Record::read(&self.layout.dir).is_some_and(|record| record.is_live())
    }

    fn order(&mut self, order: &Order) {
        if let Some(supervisor) = &mut self.supervisor {
            supervisor.order(order);
        }
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        if let Some(supervisor) = self.supervisor.take() {
            supervisor.stop();
        }
    }
}

/// A running supervisor and the two pipes to it.
pub(super) struct Supervisor {
    child: Child,
    orders: Option<ChildStdin>,
    reports: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Supervisor {
    pub(super) fn start(layout: &Layout) -> Result<Self, Failure> {
        let failed = |cause: std::io::Error| Failure::new("cannot start the control plane's supervisor").with_cause(&cause);
        let log = layout.file("supervisor.log");
        // By name and not "this very program": another one would take `supervise` for its own first argument.
        let mut child = Command::new(program("examples/control-plane"))
            .arg("supervise")
            .arg(&layout.dir)
            .arg(&layout.data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Not the caller's stderr: a pipeline such as `make cluster | tee log` would wait for its end.
            .stderr(File::create(&log).map_err(failed)?)
            // Ctrl-C in the terminal reaches the runner only, so etcd is not the first to go.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let orders = child.stdin.take();
        let reports = BufReader::new(child.stdout.take().expect("stdout was asked for as a pipe"));
        Ok(Self { child, orders, reports, log })
    }

    pub(super) fn wait_ready(&mut self) -> Result<(), Failure> {
        loop {
            match self.next_report() {
                Some(Report::Progress(text)) => stream::say(&format!("control plane: {text}")),
                Some(Report::Ready(text)) => {
                    stream::say(&format!("control plane: {text}"));
                    return Ok(());
                }
                Some(Report::Failed { what, causes, hint }) => {
                    // It is tearing down what it had started; what we print comes after that.
                    let _ = self.child.wait();
                    return Err(Failure { what, causes, hint, exit: Exit::CouldNotRun });
                }
                None => {
                    let mut failure = Failure::new("the control plane's supervisor ended");
                    failure.causes.extend(tail(&self.log, 5).lines().map(str::to_owned));
                    return Err(failure);
                }
            }
        }
    }

    fn next_report(&mut self) -> Option<Report> {
        let mut line = String::new();
        self.reports.read_line(&mut line).ok().filter(|length| *length > 0)?;
        serde_json::from_str(&line).ok()
    }

    pub(super) fn order(&mut self, order: &Order) {
        let mut line = serde_json::to_string(order).expect("an order has only numbers");
        line.push('\n');
        if let Some(orders) = &mut self.orders {
            // A supervisor that is gone has no use for orders; whoever uses the plane will notice.
            let _ = orders.write_all(line.as_bytes());
        }
    }

    fn stop(mut self) {
        self.orders = None;
        let _ = self.child.wait();
    }
}
