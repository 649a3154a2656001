//! The WebSocket: connects, says what the page has seen, folds and acknowledges what arrives, and connects again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use codee::{Decoder, Encoder};
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_use_websocket::{
    ConnectionReadyState, DummyEncoder, ReconnectLimit, UseWebSocketOptions, UseWebSocketReturn,
    use_websocket_with_options,
};
use quilt::Timestamp;
use quilt::wire::ClientFrame;
use serde::de::IgnoredAny;

use super::viewer::{Received, Viewer};
use super::{Channel, Connection, Following, backoff};
use crate::model::ActionError;
use crate::request;

/// The server is never silent for longer than this; a connection that is, is dead.
const SILENCE: Duration = Duration::from_secs(15);

/// How often to look for silence.
const LOOK: Duration = Duration::from_secs(3);

/// How often the clock on the page moves.
const TICK: Duration = Duration::from_millis(200);

/// The server's close code for "back in a moment".
const SERVICE_RESTART: u16 = 1012;

/// The server's close code for "the batch was removed".
const REMOVED: u16 = 4404;

/// Encodes what is sent. What arrives is decoded by [`receive`], which owns it then, and not through a signal.
struct Codec;

impl Encoder<ClientFrame> for Codec {
    type Error = Infallible;
    type Encoded = Vec<u8>;

    fn encode(frame: &ClientFrame) -> Result<Vec<u8>, Infallible> {
        Ok(frame.encode())
    }
}

impl Decoder<()> for Codec {
    type Error = Infallible;
    type Encoded = [u8];

    fn decode(_: &[u8]) -> Result<(), Infallible> {
        Ok(())
    }
}

type OpenSocket = Arc<dyn Fn() + Send + Sync>;

/// What the handlers of a socket share.
#[derive(Clone, Copy)]
struct Socket {
    channel: Channel,
    /// Connects, or connects anew.
    open: StoredValue<Option<OpenSocket>>,
    /// Connections in a row that brought nothing new.
    failures: StoredValue<u32>,
    /// Whether a connection is about to be made.
    is_waiting: StoredValue<bool>,
    /// When something last arrived, by the browser's clock.
    heard: StoredValue<Timestamp>,
    /// What to add to the browser's clock to get the server's, in milliseconds.
    skew: StoredValue<i64>,
}

/// Connects, and stays connected until the owner of the signals goes away.
pub(super) fn connect(channel: Channel, server_now: Timestamp) {
    let socket = Socket {
        channel,
        open: StoredValue::new(None),
        failures: StoredValue::new(0),
        is_waiting: StoredValue::new(false),
        heard: StoredValue::new(browser_now()),
        skew: StoredValue::new(skew(server_now)),
    };
    let options = UseWebSocketOptions::default()
        .immediate(false)
        // The waits between connections are ours, with exponential backoff and jitter.
        .reconnect_limit(ReconnectLimit::Limited(0))
        .on_open(move |_| socket.hello())
        .on_message_raw_bytes(Arc::new(move |bytes: &[u8]| socket.receive(bytes)))
        .on_close(move |event| socket.closed(event.code()));
    let UseWebSocketReturn { open, send, ready_state, .. } =
        use_websocket_with_options::<ClientFrame, (), Codec, (), DummyEncoder>(
            &format!("/batches/{}/channel", channel.batch),
            options,
        );
    socket.open.set_value(Some(Arc::new(open)));
    channel.say.set_value(Some(Arc::new(send)));
    // After hydration, so that what is on the page and what the server rendered agree until then.
    Effect::new(move |_| socket.reopen());
    repeat(LOOK, move || {
        let silent_for = Duration::from_millis(browser_now().millis_since(socket.heard.get_value()));
        if ready_state.get_untracked() != ConnectionReadyState::Closed && silent_for > SILENCE {
            channel.connection.set(Connection::Reconnecting);
            socket.reopen();
        }
    });
    repeat(TICK, move || socket.tick());
}

impl Socket {
    fn reopen(self) {
        // Gone with the page that asked for it, or with the batch.
        if self.channel.connection.try_get_untracked() == Some(Connection::Removed) {
            return;
        }
        if let Some(Some(open)) = self.open.try_get_value() {
            self.is_waiting.set_value(false);
            self.heard.set_value(browser_now());
            open();
        }
    }

    fn say(self, frame: ClientFrame) {
        if let Some(say) = self.channel.say.get_value() {
            say(&frame);
        }
    }

    fn hello(self) {
        self.channel.viewer.update_value(Viewer::connected);
        let from = self.channel.viewer.with_value(Viewer::step);
        self.say(ClientFrame::Hello { from });
        self.channel.say_follow();
    }

    fn receive(self, bytes: &[u8]) {
        self.heard.set_value(browser_now());
        match self.channel.viewer.try_update_value(|viewer| viewer.receive(bytes)) {
            Some(Received::Changed(step)) => {
                self.is_live();
                self.say(ClientFrame::Ack { step });
                self.publish();
            }
            Some(Received::Load(load)) => {
                self.skew.set_value(skew(load.now));
                self.channel.load.set(Some(load));
                // A page that has seen everything is told nothing else.
                if self.channel.viewer.with_value(|viewer| viewer.step().is_some()) {
                    self.is_live();
                }
            }
            Some(Received::OutOfStep) => {
                self.channel.viewer.update_value(Viewer::forget);
                self.reopen_later();
            }
            Some(Received::Raced) => {
                self.channel.raced.update(|raced| *raced += 1);
                self.channel.paint();
            }
            Some(Received::Missed) if self.channel.following.get_untracked() == Following::Live => {
                self.channel.read_on();
            }
            Some(Received::Missed | Received::Part) | None => {}
        }
    }

    fn is_live(self) {
        self.failures.set_value(0);
        if self.channel.connection.get_untracked() != Connection::Live {
            self.channel.connection.set(Connection::Live);
        }
    }

    /// Brings the signals up to the quilt.
    fn publish(self) {
        let summary = self.channel.viewer.with_value(|viewer| viewer.quilt().map(|quilt| quilt.summary()));
        if let Some(summary) = summary {
            self.channel.summary.set(summary);
            self.channel.has_squares.set(true);
            self.channel.paint();
        }
    }

    fn closed(self, code: u16) {
        // Where no connection can be had, what is known is shown without the squares.
        self.channel.has_squares.set(true);
        if code == REMOVED {
            self.channel.connection.set(Connection::Removed);
            return;
        }
        // A browser does not tell why a connection was refused.
        spawn_local(async move {
            let batch = request::get::<IgnoredAny>(&format!("/api/batches/{}", self.channel.batch)).await;
            if let Err(ActionError::NotFound) = batch {
                let _ = self.channel.connection.try_set(Connection::Removed);
            }
        });
        let is_restarting =
            code == SERVICE_RESTART || self.channel.connection.get_untracked() == Connection::Restarting;
        self.channel.connection.set(if is_restarting { Connection::Restarting } else { Connection::Reconnecting });
        self.reopen_later();
    }

    /// Connects anew after a wait that grows with each failure in a row. While one is waited for, there is no other.
    fn reopen_later(self) {
        if self.is_waiting.get_value() {
            return;
        }
        self.is_waiting.set_value(true);
        let failures = self.failures.get_value();
        self.failures.set_value(failures.saturating_add(1));
        set_timeout(move || self.reopen(), backoff::delay(failures, js_sys::Math::random()));
    }

    fn tick(self) {
        if self.channel.summary.with_untracked(|summary| summary.ended_at.is_some()) {
            return;
        }
        let now = Timestamp(browser_now().0.saturating_add_signed(self.skew.get_value()));
        let settled = self.channel.summary.with_untracked(|summary| summary.progress.settled());
        let pace = self.channel.samples.try_update_value(|samples| samples.sample(now, settled)).flatten();
        self.channel.now.set(now);
        self.channel.pace.set(pace);
    }
}

fn browser_now() -> Timestamp {
    Timestamp(js_sys::Date::now() as u64)
}

fn skew(server_now: Timestamp) -> i64 {
    server_now.0 as i64 - browser_now().0 as i64
}

/// Calls `action` again and again until the owner of the signals goes away.
fn repeat(interval: Duration, action: impl Fn() + 'static) {
    // Without a window there is nothing to repeat.
    if let Ok(handle) = set_interval_with_handle(action, interval) {
        on_cleanup(move || handle.clear());
    }
}
