//! What is shown while syncs run: redrawn in place on a terminal, one line for each change elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::cli::Context;
use crate::ui::age;
use crate::ui::live::Region;
use crate::ui::stream;
use crate::ui::sync_view::{Clock, SyncView, changes, frame};

use super::{App, AppRef};

/// Redraws a second; more is only flicker.
const FRAME: Duration = Duration::from_millis(100);
/// What ends sooner is not worth a picture.
const FIRST_FRAME: Duration = Duration::from_millis(250);
/// Silence that makes people think a log has ended.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Shows running syncs on stderr.
pub struct Screen {
    views: BTreeMap<AppRef, SyncView>,
    began: Instant,
    deadline: Instant,
    ticks: Interval,
    tick: usize,
    region: Option<Region>,
    control_namespace: String,
}

impl Screen {
    /// Begins with the requested operations. Only a single Application has a picture.
    pub fn new(started: &BTreeMap<AppRef, App>, deadline: Instant, cx: &Context) -> Self {
        let region = (started.len() == 1 && stream::can_redraw()).then(Region::default);
        let now = Instant::now();
        let mut ticks = match region {
            Some(_) => interval_at(now + FIRST_FRAME, FRAME),
            None => interval_at(now + HEARTBEAT, HEARTBEAT),
        };
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let views = started.iter().map(|(reference, app)| (reference.clone(), SyncView::of(&app.app))).collect();
        Self { views, began: now, deadline, ticks, tick: 0, region, control_namespace: cx.flags.controller_namespace.clone() }
    }

    /// Waits until it is time to draw.
    pub async fn tick(&mut self) {
        self.ticks.tick().await;
    }

    /// Takes note of a change; without a picture, tells it.
    pub fn saw(&mut self, app: &App) {
        let view = SyncView::of(&app.app);
        let before = self.views.insert(app.reference(), view.clone());
        if self.region.is_none() {
            let time = age::now().strftime("%H:%M:%SZ").to_string();
            changes(before.as_ref(), &view).iter().for_each(|line| stream::say(&format!("{time} {line}")));
        }
    }

    /// Draws the picture, or a sign of life where there is none.
    pub fn draw(&mut self) {
        self.tick += 1;
        let clock = self.clock();
        let (width, height) = stream::stderr_size().unwrap_or((80, 24));
        match &mut self.region {
            Some(region) => {
                let Some(view) = self.views.values().next() else { return };
                // One line less than the screen, or moving up would not reach the first one.
                let mut lines = frame(view, clock, width, height);
                lines.truncate(height.saturating_sub(1));
                region.draw(&lines);
            }
            None => self.views.values().for_each(|view| self.heartbeat(view, clock)),
        }
    }

    fn heartbeat(&self, view: &SyncView, clock: Clock) {
        let app = &view.app;
        match view.phase.as_str() {
            "" => stream::say(&format!(
                "{app}: the controller has not picked the operation up for {}s; is it running? kubectl get pods -n {}",
                clock.elapsed, self.control_namespace
            )),
            "Running" | "Terminating" => stream::say(&format!(
                "{app}: still {}, {}s, {}/{} done{}",
                view.phase.to_lowercase(),
                clock.elapsed,
                view.done(),
                view.rows.len(),
                if view.message.is_empty() { String::new() } else { format!(": {}", view.message) }
            )),
            _ => {}
        }
    }

    fn clock(&self) -> Clock {
        let now = Instant::now();
        Clock {
            elapsed: (now - self.began).as_secs(),
            left: Some(self.deadline.saturating_duration_since(now).as_secs()),
            tick: self.tick,
        }
    }

    /// Takes the picture away.
    pub fn close(&mut self) {
        if let Some(region) = &mut self.region {
            region.clear();
        }
    }
}
