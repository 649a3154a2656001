//! The channel of a batch as signals.

use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_use_interval_fn::use_interval_fn;
use quilt::wire::{ClientFrame, Load};
use quilt::{BatchId, Progress, Status, Summary, Timestamp};
use viewer::{Connection, Pace, Received, Samples, Viewer};

use super::fetch;
use super::following::Following;
use super::frames::{Frames, use_frames};
use super::shared::{Shared, effect};
use super::socket::{Event, Socket, use_socket};
use crate::model::{ActionError, BatchView};

/// How often the clock on the page moves, in milliseconds.
const TICK_MS: u64 = 200;

/// A signal that counts, around a fold that is no signal: nothing of a million squares is in the reactive graph.
#[derive(Clone, Copy)]
pub(crate) struct QuiltSignal {
    version: RwSignal<u32>,
    viewer: Shared<Viewer>,
}

impl QuiltSignal {
    fn new(summary: &Summary) -> Self {
        Self { version: RwSignal::new(0), viewer: Shared::new(Viewer::new(summary)) }
    }

    /// Looks at the viewer, again whenever it has changed. `None` where the owner is gone.
    pub(crate) fn with<T>(self, look: impl FnOnce(&Viewer) -> T) -> Option<T> {
        self.track();
        self.with_untracked(look)
    }

    /// Looks at the viewer once.
    pub(crate) fn with_untracked<T>(self, look: impl FnOnce(&Viewer) -> T) -> Option<T> {
        self.viewer.with(|viewer| look(viewer))
    }

    /// Follows the viewer.
    pub(crate) fn track(self) {
        self.version.track();
    }

    /// Changes the viewer; those who look at it follow after [`QuiltSignal::notify`]. `None` where the owner is gone.
    pub(crate) fn update<T>(self, change: impl FnOnce(&mut Viewer) -> T) -> Option<T> {
        self.viewer.with(change)
    }

    /// Tells those who look at the viewer that it has changed.
    pub(crate) fn notify(self) {
        self.version.try_update(|version| *version = version.wrapping_add(1));
    }
}

/// What the server has told about the batch. Written once a frame.
#[derive(Clone, Copy)]
pub(crate) struct Told {
    /// The state without the squares.
    pub(crate) summary: RwSignal<Arc<Summary>>,
    /// The state of the connection.
    pub(crate) connection: RwSignal<Connection>,
    /// The server's clock, a few times a second while the batch runs.
    pub(crate) now: RwSignal<Timestamp>,
    /// What the workers do.
    pub(crate) load: RwSignal<Option<Arc<Load>>>,
    /// How fast tasks finish.
    pub(crate) pace: RwSignal<Option<Pace>>,
    /// How far the attempts are known.
    pub(crate) following: RwSignal<Following>,
    /// Grows with the attempts and the load.
    pub(crate) race_version: RwSignal<u32>,
    /// Whether the batch crossed its finish line while the visitor watched.
    pub(crate) has_seen_finish: RwSignal<bool>,
}

/// A live batch. A handle: all copies are the same channel.
#[derive(Clone, Copy)]
pub(crate) struct Channel {
    /// The batch.
    pub(crate) id: BatchId,
    /// The squares and their attempts.
    pub(crate) quilt: QuiltSignal,
    /// Counts of tasks.
    pub(crate) progress: Memo<Progress>,
    /// The batch's status.
    pub(crate) status: Memo<Status>,
    /// The state of the connection.
    pub(crate) connection: Signal<Connection>,
    /// Everything else.
    pub(crate) told: Told,
    news: Shared<News>,
    frames: Shared<Option<Frames>>,
    socket: Shared<Option<Socket>>,
}

/// What arrived since the signals were last written.
#[derive(Default)]
struct News {
    has_changed: bool,
    load: Option<Load>,
    has_raced: bool,
    connection: Option<Connection>,
    /// The difference from the browser's clock to the server's, in milliseconds.
    clock_skew: i64,
    samples: Samples,
}

/// Connects to a batch and follows it to its finish line and beyond, for as long as the owner lives.
pub(crate) fn use_channel(view: &BatchView) -> Channel {
    let BatchView { id, summary, now, .. } = view;
    let quilt = QuiltSignal::new(summary);
    let told = Told {
        summary: RwSignal::new(Arc::new(summary.clone())),
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
        progress: Memo::new(move |_| told.summary.get().progress),
        status: Memo::new(move |_| told.summary.get().status),
        connection: told.connection.into(),
        told,
        news: Shared::new(News::default()),
        frames: Shared::new(None),
        socket: Shared::new(None),
    };
    let now = *now;
    effect(move || channel.set_clock(now));
    let (frames, socket) = (use_frames(move || channel.flush()), use_socket(*id, move |event| channel.on_event(event)));
    channel.frames.with(|place| *place = Some(frames));
    channel.socket.with(|place| *place = Some(socket));
    use_interval_fn(move || channel.tick(), TICK_MS);
    channel
}

impl Channel {
    /// Whether the batch has tasks left to run.
    pub(crate) fn is_running(self) -> bool {
        !self.status.get().is_over()
    }

    /// How long this lap has run, or took, in milliseconds.
    pub(crate) fn elapsed(self) -> u64 {
        let summary = self.told.summary.get();
        summary.ended_at.unwrap_or_else(|| self.told.now.get()).millis_since(summary.started_at)
    }

    /// Asks the server for the attempts after those that are known.
    pub(super) fn send_follow(self) {
        if self.told.following.try_get_untracked() == Some(Following::Live)
            && let Some(after) = self.quilt.with_untracked(|viewer| viewer.race().offset())
        {
            self.send(&ClientFrame::Follow { after });
        }
    }

    /// Notes that attempts were folded, to be shown in the next frame.
    pub(super) fn race_changed(self) {
        self.note(|news| news.has_raced = true);
    }

    /// Runs the frame's work again in the next frame.
    pub(crate) fn request_frame(self) {
        self.note(|news| news.has_changed = true);
    }

    fn note(self, note: impl FnOnce(&mut News)) {
        self.news.with(note);
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
            Event::Opened => self.greet(),
            Event::Message(message) => self.receive(message),
            Event::Closed(code) => self.closed(code),
        }
    }

    fn greet(self) {
        let from = self.quilt.update(|viewer| {
            viewer.connected();
            viewer.step()
        });
        let Some(from) = from else { return };
        if self.told.following.try_get_untracked() == Some(Following::Failed) {
            self.told.following.set(Following::No);
        }
        self.send(&ClientFrame::Hello { from });
        self.send_follow();
    }

    fn receive(self, message: &[u8]) {
        let is_reading = self.told.following.try_get_untracked() == Some(Following::Reading);
        let Some(received) = self.quilt.update(|viewer| viewer.receive(message, is_reading)) else { return };
        match received {
            Received::Changed(step) => {
                self.send(&ClientFrame::Ack { step });
                self.with_socket(Socket::succeeded);
                self.note(|news| {
                    news.has_changed = true;
                    news.connection = Some(Connection::Live);
                });
            }
            Received::Load(load) => {
                self.set_clock(load.now);
                // Nothing else arrives for a page that has seen everything.
                let is_live = self.quilt.with_untracked(|viewer| viewer.step().is_some()) == Some(true);
                self.note(|news| {
                    news.load = Some(load);
                    news.has_raced = true;
                    news.connection = is_live.then_some(Connection::Live).or(news.connection);
                });
            }
            Received::Raced => self.race_changed(),
            Received::Missed => {
                if self.told.following.try_get_untracked() == Some(Following::Live) {
                    // They are in the journal, which is read again.
                    self.told.following.set(Following::No);
                }
            }
            Received::OutOfStep => {
                self.quilt.update(Viewer::forget);
                self.with_socket(Socket::reopen_later);
            }
            Received::Newer => {
                // The page of that version can. A reload fails only where the browser forbids it.
                let _ = window().location().reload();
            }
            Received::Part => {}
        }
    }

    fn closed(self, code: u16) {
        let Some(connection) = self.told.connection.try_get_untracked() else { return };
        let connection = self.news.with(|news| news.connection).flatten().unwrap_or(connection).closed(code);
        self.set_connection(connection);
        self.with_socket(Socket::reopen_later);
        // A browser does not say why a connection was refused.
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
        self.note(|news| news.connection = Some(connection));
    }

    fn set_clock(self, server_now: Timestamp) {
        let clock_skew = server_now.0 as i64 - js_sys::Date::now() as i64;
        self.news.with(|news| news.clock_skew = clock_skew);
    }

    /// Writes the signals, before the browser draws.
    fn flush(self) {
        let Some(mut news) = self.news.with(|news| News {
            has_changed: std::mem::take(&mut news.has_changed),
            has_raced: std::mem::take(&mut news.has_raced),
            load: news.load.take(),
            connection: news.connection.take(),
            ..News::default()
        }) else {
            return;
        };
        if let Some(connection) = news.connection.take() {
            set_if_new(self.told.connection, connection);
        }
        if let Some(load) = news.load.take() {
            self.told.load.set(Some(Arc::new(load)));
        }
        if news.has_changed {
            self.publish();
        }
        if news.has_raced {
            self.told.race_version.update(|version| *version = version.wrapping_add(1));
        }
        if news.has_changed || news.has_raced {
            self.quilt.notify();
        }
    }

    /// Brings the summary up to the quilt.
    fn publish(self) {
        let summary = self.quilt.with_untracked(|viewer| viewer.quilt().map(quilt::Quilt::summary)).flatten();
        let Some(summary) = summary else { return };
        let before = self.told.summary.get_untracked();
        if (summary.lap, summary.status) != (before.lap, before.status) {
            // The lap was running when this page last looked.
            let was_running = !before.status.is_over() || before.lap < summary.lap;
            self.told.has_seen_finish.set(was_running && summary.status == Status::Finished);
            self.told.race_version.update(|version| *version = version.wrapping_add(1));
        }
        if summary != *before {
            self.told.summary.set(Arc::new(summary));
        }
    }

    /// Moves the clock on.
    fn tick(self) {
        let Some(summary) = self.told.summary.try_get_untracked().filter(|summary| !summary.status.is_over()) else {
            return;
        };
        let settled = summary.progress.settled();
        let ticked = self.news.with(|news| {
            let now = Timestamp((js_sys::Date::now() as u64).saturating_add_signed(news.clock_skew));
            (now, news.samples.sample(now, settled))
        });
        if let Some((now, pace)) = ticked {
            self.told.now.set(now);
            set_if_new(self.told.pace, pace);
        }
    }
}

fn set_if_new<T: PartialEq + Clone + Send + Sync + 'static>(signal: RwSignal<T>, value: T) {
    if signal.with_untracked(|known| *known != value) {
        signal.set(value);
    }
}
