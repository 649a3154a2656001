//! The WebSocket of a channel: connects, reconnects with backoff, and detects silent connections.

use std::sync::Arc;
use std::time::Duration;

use codee::{Decoder, Encoder};
use leptos::prelude::*;
use leptos_use_websocket::{ReconnectLimit, UseWebSocketOptions, UseWebSocketReturn, use_websocket_with_options};
use quilt::BatchId;
use quilt::wire::ClientFrame;
use viewer::backoff;

use super::shared::{Shared, at_interval, effect, later};

/// A connection that is silent for longer than this many milliseconds counts as lost. The server sends messages more often.
const MAX_SILENCE_MS: f64 = 15_000.0;

/// How often the connection is checked for silence, in milliseconds.
const SILENCE_CHECK: Duration = Duration::from_secs(3);

/// Encodes the client's frames. The server's messages are not decoded here, because a frame may span several messages.
struct Wire;

impl Encoder<ClientFrame> for Wire {
    type Error = std::convert::Infallible;
    type Encoded = Vec<u8>;

    fn encode(frame: &ClientFrame) -> Result<Vec<u8>, Self::Error> {
        Ok(frame.encode())
    }
}

impl Decoder<()> for Wire {
    type Error = std::convert::Infallible;
    type Encoded = [u8];

    fn decode(_: &[u8]) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// An event on a socket.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event<'a> {
    /// The connection was opened.
    Opened,
    /// A message arrived.
    Message(&'a [u8]),
    /// The connection was closed with this code, or was silent for too long (1006).
    Closed(u16),
}

/// Sends a frame.
type SendFrame = Arc<dyn Fn(&ClientFrame) + Send + Sync>;

/// Opens or closes the connection.
type SocketAction = Arc<dyn Fn() + Send + Sync>;

/// A handle to a socket. All copies refer to the same socket.
#[derive(Clone, Copy)]
pub(super) struct Socket {
    send: StoredValue<SendFrame>,
    open: StoredValue<SocketAction>,
    close: StoredValue<SocketAction>,
    state: Shared<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The number of consecutive connections that delivered nothing new.
    failures: u32,
    /// Whether a reconnect is scheduled.
    is_waiting: bool,
    /// Whether the socket must not connect again.
    is_finished: bool,
    /// When a message last arrived, in milliseconds of the browser's clock.
    last_received_at: f64,
}

/// The close code of a connection that was lost without a close frame (RFC 6455).
const ABNORMAL_CLOSURE: u16 = 1006;

/// Connects to a batch's channel until the reactive owner is disposed. `on_event` must not panic; what it starts belongs to the owner.
pub(super) fn use_socket(id: BatchId, on_event: impl Fn(Event<'_>) + Send + Sync + Clone + 'static) -> Socket {
    let state = Shared::new(State::default());
    let note_received = move || {
        state.with(|state| state.last_received_at = js_sys::Date::now());
    };
    let (on_open, on_message, on_close) = (on_event.clone(), on_event.clone(), on_event.clone());
    let options = UseWebSocketOptions::default()
        .immediate(false)
        // Reconnects use the random backoff below, so that many pages do not reconnect at once.
        .reconnect_limit(ReconnectLimit::Limited(0))
        .on_open(move |_| {
            note_received();
            on_open(Event::Opened);
        })
        .on_message_raw_bytes(Arc::new(move |message: &[u8]| {
            note_received();
            on_message(Event::Message(message));
        }))
        .on_close(move |event: web_sys::CloseEvent| on_close(Event::Closed(event.code())));
    let UseWebSocketReturn { send, open, close, .. } =
        use_websocket_with_options::<ClientFrame, (), Wire, _, _>(&format!("/batches/{id}/channel"), options);
    let socket = Socket {
        send: StoredValue::new(Arc::new(send)),
        open: StoredValue::new(Arc::new(open)),
        close: StoredValue::new(Arc::new(close)),
        state,
    };
    // Effects run only in the browser.
    effect(move || socket.open());
    let check = move || {
        if socket.is_silent() {
            on_event(Event::Closed(ABNORMAL_CLOSURE));
        }
    };
    at_interval(check, SILENCE_CHECK);
    socket
}

impl Socket {
    /// Sends a frame. On a closed connection it is dropped; the close event follows.
    pub(super) fn send(self, frame: &ClientFrame) {
        if let Some(send) = self.send.try_get_value() {
            send(frame);
        }
    }

    /// Resets the backoff after a working connection.
    pub(super) fn succeeded(self) {
        self.state.with(|state| state.failures = 0);
    }

    /// Reconnects after a delay that grows with each consecutive failure.
    pub(super) fn reopen_later(self) {
        let failures = self.state.with(|state| {
            let failures = state.failures;
            (!std::mem::replace(&mut state.is_waiting, true)).then(|| {
                state.failures = failures.saturating_add(1);
                failures
            })
        });
        if let Some(Some(failures)) = failures {
            later(move || self.open(), backoff::delay(failures, js_sys::Math::random()));
        }
    }

    /// Closes the connection permanently.
    pub(super) fn finish(self) {
        self.state.with(|state| state.is_finished = true);
        if let Some(close) = self.close.try_get_value() {
            close();
        }
    }

    fn open(self) {
        let may_open = self.state.with(|state| {
            state.is_waiting = false;
            state.last_received_at = js_sys::Date::now();
            !state.is_finished
        });
        if may_open == Some(true)
            && let Some(open) = self.open.try_get_value()
        {
            open();
        }
    }

    fn is_silent(self) -> bool {
        let is_silent = |state: &State| {
            !state.is_waiting && !state.is_finished && js_sys::Date::now() - state.last_received_at > MAX_SILENCE_MS
        };
        self.state.with(|state| is_silent(state)) == Some(true)
    }
}
