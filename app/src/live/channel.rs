//! The channel of a batch as signals.

use std::sync::Arc;
use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use quilt::wire::{ClientFrame, Load};
use quilt::{BatchId, Progress, Status, Summary, Timestamp};
use viewer::{Connection, Pace, Received, Samples, Viewer};

use super::fetch;
use super::following::Following;
use super::frames::{Frames, use_frames};
use super::quilt_signal::QuiltSignal;
use super::shared::{Shared, at_interval, effect};
use super::socket::{Event, Socket, use_socket};
use crate::model::{ActionError, BatchView};

/// How often the clock on the page is updated.
const TICK: Duration = Duration::from_millis(200);

/// The state of the batch as received from the server. Written at most once per frame.
#[derive(Clone, Copy)]
pub(crate) struct ChannelSignals {
    /// The state of the batch, without the squares.
    pub(crate) summary: RwSignal<Arc<Summary>>,
    /// The same as of the displayed moment: that of a replay, if one is open.
    pub(crate) shown: RwSignal<Arc<Summary>>,
    /// The state of the connection.
    pub(crate) connection: RwSignal<Connection>,
    /// The server's time, updated a few times per second while the batch runs.
    pub(crate) now: RwSignal<Timestamp>,
    /// The state of the workers.
    pub(crate) load: RwSignal<Option<Arc<Load>>>,
    /// How fast tasks finish.
    pub(crate) pace: RwSignal<Option<Pace>>,
    /// Whether the attempts are known.
    pub(crate) following: RwSignal<Following>,
    /// Incremented when the attempts or the load change.
    pub(crate) race_version: RwSignal<u32>,
    /// Whether the batch crossed its finish line while the page was open.
    pub(crate) has_seen_finish: RwSignal<bool>,
}

/// A handle to the channel of a batch. All copies refer to the same channel.
#[derive(Clone, Copy)]
pub(crate) struct Channel {
    /// The batch.
    pub(crate) id: BatchId,
    /// The squares and their attempts.
    pub(crate) quilt: QuiltSignal,
    /// The counts of tasks.
    pub(crate) progress: Memo<Progress>,
    /// The counts as of the displayed moment.
    pub(crate) shown_progress: Memo<Progress>,
    /// The batch's status.
    pub(crate) status: Memo<Status>,
    /// The state of the connection.
    pub(crate) connection: Signal<Connection>,
    /// The signals that are written once per frame.
    pub(crate) signals: ChannelSignals,
    pending: Shared<PendingChanges>,
    frames: Shared<Option<Frames>>,
    socket: Shared<Option<Socket>>,
}

/// Changes that arrived since the signals were last written, and state that needs no signal.
#[derive(Default)]
struct PendingChanges {
    has_quilt_changed: bool,
    load: Option<Load>,
    has_race_changed: bool,
    connection: Option<Connection>,
    /// Whether this connection has started, which it does from the step that the page knows.
    has_said_hello: bool,
    /// The difference from the browser's clock to the server's, in milliseconds.
    clock_skew: i64,
    samples: Samples,
}

/// Connects to a batch and follows it through all laps, until the reactive owner is disposed.
pub(crate) fn use_channel(view: &BatchView) -> Channel {
    let BatchView { id, summary, now, .. } = view;
    let quilt = QuiltSignal::new(summary);
    let signals = ChannelSignals {
        summary: RwSignal::new(Arc::new(summary.clone())),
        shown: RwSignal::new(Arc::new(summary.clone())),
        connection: RwSignal::new(Connection::Connecting),
        now: RwSignal::new(*now),
        load: RwSignal::new(None),
        pace: RwSignal::new(None),
        following: RwSignal::new(Following::No),
        race_version: RwSignal::new(0),
        has_seen_finish: RwSignal::new(false),
    };
    let channel = Channel {
        id: *id,
        quilt,
        progress: progress_of(signals.summary),
        shown_progress: progress_of(signals.shown),
        status: Memo::new(move |_| signals.summary.get().status),
        connection: signals.connection.into(),
        signals,
        pending: Shared::new(PendingChanges::default()),
        frames: Shared::new(None),
        socket: Shared::new(None),
    };
    let now = *now;
    effect(move || channel.set_clock(now));
    let (frames, socket) = (use_frames(move || channel.flush()), use_socket(*id, move |event| channel.on_event(event)));
    channel.frames.with(|place| *place = Some(frames));
    channel.socket.with(|place| *place = Some(socket));
    at_interval(move || channel.tick(), TICK);
    channel
}

impl Channel {
    /// Whether the batch has tasks left to run.
    pub(crate) fn is_running(self) -> bool {
        !self.status.get().is_over()
    }

    /// The duration of the lap up to the displayed moment, in milliseconds.
    pub(crate) fn elapsed(self) -> u64 {
        let summary = self.signals.shown.get();
        summary.ended_at.unwrap_or_else(|| self.signals.now.get()).millis_since(summary.started_at)
    }

    /// Requests the attempts after the known ones from the server.
    pub(super) fn send_follow(self) {
        if self.signals.following.try_get_untracked() == Some(Following::Live)
            && let Some(after) = self.quilt.with_untracked(Viewer::offset)
        {
            self.send(&ClientFrame::Follow { after });
        }
    }

    /// Call before the journal is read. That of a batch that is over provides the quilt as well, unless a snapshot is on its way.
    pub(super) fn journal_starts(self) {
        let is_needed = self.pending.with(|pending| !pending.has_said_hello) == Some(true);
        if is_needed && self.signals.summary.with_untracked(|summary| summary.status.is_over()) {
            self.quilt.update(Viewer::expect_quilt_in_journal);
        }
    }

    /// Call when the journal is read, or cannot be. If it was to provide the quilt, the connection has waited for it.
    pub(super) fn journal_ended(self, is_complete: bool) {
        if self.quilt.update(|viewer| viewer.take_quilt_from_journal(is_complete)) == Some(true) {
            self.send_hello();
            self.request_frame();
        } else {
            self.send_follow();
        }
        self.race_changed();
    }

    /// Displays the moment that a replay has reached or, without a replay, the present. `has_jumped` means that the moment does not follow
    /// the one before.
    pub(super) fn show(self, moment: Option<Timestamp>, has_jumped: bool) {
        let summary = self.quilt.with_untracked(|viewer| viewer.displayed().map(quilt::Quilt::summary)).flatten();
        let Some(mut summary) = summary else { return };
        // A lap that runs at that moment has lasted until then.
        summary.ended_at = summary.ended_at.or(moment);
        let settled = summary.progress.settled();
        let pace = self.pending.with(|pending| {
            if has_jumped {
                pending.samples = Samples::default();
            }
            moment.and_then(|moment| pending.samples.sample(moment, settled))
        });
        set_if_changed(self.signals.pace, pace.flatten());
        self.signals.shown.set(Arc::new(summary));
        self.signals.race_version.update(|version| *version = version.wrapping_add(1));
    }

    /// Schedules an update of the attempts for the next frame.
    pub(super) fn race_changed(self) {
        self.record(|pending| pending.has_race_changed = true);
    }

    /// Schedules an update of the quilt for the next frame.
    pub(crate) fn request_frame(self) {
        self.record(|pending| pending.has_quilt_changed = true);
    }

    fn record(self, record: impl FnOnce(&mut PendingChanges)) {
        self.pending.with(record);
        if let Some(frames) = self.frames.with(|frames| *frames).flatten() {
            frames.request();
        }
    }

    fn send(self, frame: &ClientFrame) {
        self.with_socket(|socket| socket.send(frame));
    }

    fn with_socket(self, act: impl FnOnce(Socket)) {
        if let Some(socket) = self.socket.with(|socket| *socket).flatten() {
            act(socket);
        }
    }

    fn on_event(self, event: Event<'_>) {
        match event {
            // A snapshot would contain the squares again that the journal is about to provide.
            Event::Opened if self.quilt.with_untracked(Viewer::is_from_journal) == Some(true) => {}
            Event::Opened => {
                if self.signals.following.try_get_untracked() == Some(Following::Failed) {
                    self.signals.following.set(Following::No);
                }
                self.send_hello();
            }
            Event::Message(message) => self.receive(message),
            Event::Closed(code) => self.closed(code),
        }
    }

    fn send_hello(self) {
        let from = self.quilt.update(|viewer| {
            viewer.connected();
            viewer.step()
        });
        let Some(from) = from else { return };
        self.pending.with(|pending| pending.has_said_hello = true);
        self.send(&ClientFrame::Hello { from });
        self.send_follow();
    }

    fn receive(self, message: &[u8]) {
        let is_reading = self.signals.following.try_get_untracked() == Some(Following::Reading);
        let Some(received) = self.quilt.update(|viewer| viewer.receive(message, is_reading)) else { return };
        match received {
            Received::Changed(step) => {
                self.send(&ClientFrame::Ack { step });
                self.with_socket(Socket::succeeded);
                self.record(|pending| {
                    pending.has_quilt_changed = true;
                    pending.connection = Some(Connection::Live);
                });
            }
            Received::Load(load) => {
                self.set_clock(load.now);
                // An up-to-date page receives no other message that confirms the connection.
                let is_live = self.quilt.with_untracked(|viewer| viewer.step().is_some()) == Some(true);
                self.record(|pending| {
                    pending.load = Some(load);
                    pending.has_race_changed = true;
                    pending.connection = is_live.then_some(Connection::Live).or(pending.connection);
                });
            }
            Received::Raced => self.race_changed(),
            Received::Missed => {
                if self.signals.following.try_get_untracked() == Some(Following::Live) {
                    // The journal contains the missed attempts. This state causes it to be read again.
                    self.signals.following.set(Following::No);
                }
            }
            Received::OutOfStep => {
                self.quilt.update(Viewer::forget);
                self.with_socket(Socket::reopen_later);
            }
            Received::Newer => {
                // The reloaded page is of the server's version. A reload fails only if the browser forbids it.
                let _ = window().location().reload();
            }
            Received::Part => {}
        }
    }

    fn closed(self, code: u16) {
        let Some(connection) = self.signals.connection.try_get_untracked() else { return };
        // The next connection does not wait for the journal.
        self.quilt.update(|viewer| viewer.take_quilt_from_journal(false));
        self.pending.with(|pending| pending.has_said_hello = false);
        let connection = self.pending.with(|pending| pending.connection).flatten().unwrap_or(connection).closed(code);
        self.set_connection(connection);
        self.with_socket(Socket::reopen_later);
        // The browser does not report why a connection was refused, so this checks whether the batch still exists.
        spawn_local(async move {
            let asked = fetch::bytes(&format!("/api/batches/{}", self.id)).await;
            if asked == Err(ActionError::NotFound) {
                self.set_connection(Connection::Removed);
            }
        });
    }

    fn set_connection(self, connection: Connection) {
        if connection == Connection::Removed {
            self.with_socket(Socket::finish);
        }
        self.record(|pending| pending.connection = Some(connection));
    }

    fn set_clock(self, server_now: Timestamp) {
        let clock_skew = server_now.0 as i64 - js_sys::Date::now() as i64;
        self.pending.with(|pending| pending.clock_skew = clock_skew);
    }

    /// Writes the pending changes to the signals, before the browser draws.
    fn flush(self) {
        let Some(mut pending) = self.pending.with(|pending| PendingChanges {
            has_quilt_changed: std::mem::take(&mut pending.has_quilt_changed),
            has_race_changed: std::mem::take(&mut pending.has_race_changed),
            load: pending.load.take(),
            connection: pending.connection.take(),
            ..PendingChanges::default()
        }) else {
            return;
        };
        if let Some(connection) = pending.connection.take() {
            set_if_changed(self.signals.connection, connection);
        }
        if let Some(load) = pending.load.take() {
            self.signals.load.set(Some(Arc::new(load)));
        }
        if pending.has_quilt_changed {
            self.publish();
        }
        if pending.has_race_changed {
            self.signals.race_version.update(|version| *version = version.wrapping_add(1));
        }
        if pending.has_quilt_changed || pending.has_race_changed {
            self.quilt.notify();
        }
    }

    /// Updates the summary from the quilt.
    fn publish(self) {
        let summary = self.quilt.with_untracked(|viewer| viewer.quilt().map(quilt::Quilt::summary)).flatten();
        let Some(summary) = summary else { return };
        let before = self.signals.summary.get_untracked();
        if (summary.lap, summary.status) != (before.lap, before.status) {
            // Whether the lap was still running at this page's last update.
            let was_running = !before.status.is_over() || before.lap < summary.lap;
            self.signals.has_seen_finish.set(was_running && summary.status == Status::Finished);
            self.signals.race_version.update(|version| *version = version.wrapping_add(1));
        }
        if summary.concurrency != before.concurrency {
            // The rate before says nothing about the rate from now on.
            self.pending.with(|pending| pending.samples = Samples::default());
        }
        if summary != *before {
            let summary = Arc::new(summary);
            self.signals.summary.set(Arc::clone(&summary));
            if self.quilt.with_untracked(Viewer::is_replaying) == Some(false) {
                self.signals.shown.set(summary);
            }
        }
    }

    /// Updates the clock and the pace.
    fn tick(self) {
        let Some(summary) = self.signals.summary.try_get_untracked().filter(|summary| !summary.status.is_over()) else {
            return;
        };
        if self.signals.connection.get_untracked().is_stale() {
            // The page shows when it was last up to date.
            return;
        }
        let settled = summary.progress.settled();
        let ticked = self.pending.with(|pending| {
            let now = Timestamp((js_sys::Date::now() as u64).saturating_add_signed(pending.clock_skew));
            (now, pending.samples.sample(now, settled))
        });
        if let Some((now, pace)) = ticked {
            self.signals.now.set(now);
            set_if_changed(self.signals.pace, pace);
        }
    }
}

fn progress_of(summary: RwSignal<Arc<Summary>>) -> Memo<Progress> {
    Memo::new(move |_| summary.get().progress)
}

fn set_if_changed<T: PartialEq + Clone + Send + Sync + 'static>(signal: RwSignal<T>, value: T) {
    if signal.with_untracked(|known| *known != value) {
        signal.set(value);
    }
}
