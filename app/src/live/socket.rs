//! The WebSocket of a channel: connects, reconnects with backoff, and notices silence.

use std::sync::Arc;

use codee::{Decoder, Encoder};
use leptos::prelude::*;
use leptos_use_interval_fn::use_interval_fn;
use leptos_use_websocket::{ReconnectLimit, UseWebSocketOptions, UseWebSocketReturn, use_websocket_with_options};
use quilt::BatchId;
use quilt::wire::ClientFrame;
use viewer::backoff;

use super::shared::{Shared, effect, later};

/// The server sends something at least this often, in milliseconds; a connection that is silent for longer is dead.
const MAX_SILENCE_MS: f64 = 15_000.0;

/// How often silence is checked, in milliseconds.
const SILENCE_CHECK_MS: u64 = 3_000;

/// Frames of this side as bytes. Those of the other side are taken as they are: a frame may come in several messages.
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

/// What happens on a socket.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event<'a> {
    /// It is open.
    Opened,
    /// A message arrived.
    Message(&'a [u8]),
    /// It closed with this code, or was given up for its silence (1006).
    Closed(u16),
}

/// Sends a frame.
type SendFrame = Arc<dyn Fn(&ClientFrame) + Send + Sync>;

/// Opens or closes the connection.
type Act = Arc<dyn Fn() + Send + Sync>;

/// The socket.
#[derive(Clone, Copy)]
pub(super) struct Socket {
    send: StoredValue<SendFrame>,
    open: StoredValue<Act>,
    close: StoredValue<Act>,
    state: Shared<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Connections in a row that brought nothing new.
    failures: u32,
    /// Whether a reconnect is scheduled.
    is_waiting: bool,
    /// Whether it must not connect again.
    is_finished: bool,
    /// When something last arrived, by the browser's clock.
    heard_at: f64,
}

/// The code for a connection that broke without a close frame.
const ABNORMAL: u16 = 1006;

/// Connects to a batch's channel for as long as the owner lives. `on_event` must not panic; what it starts belongs to the owner.
pub(super) fn use_socket(id: BatchId, on_event: impl Fn(Event<'_>) + Send + Sync + Clone + 'static) -> Socket {
    let state = Shared::new(State::default());
    let heard = move || {
        state.with(|state| state.heard_at = js_sys::Date::now());
    };
    let (on_open, on_message, on_close) = (on_event.clone(), on_event.clone(), on_event.clone());
    let options = UseWebSocketOptions::default()
        .immediate(false)
        // With our own backoff, which spreads many pages out.
        .reconnect_limit(ReconnectLimit::Limited(0))
        .on_open(move |_| {
            heard();
            on_open(Event::Opened);
        })
        .on_message_raw_bytes(Arc::new(move |message: &[u8]| {
            heard();
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
    // Effects run in the browser alone.
    effect(move || socket.open());
    use_interval_fn(
        move || {
            if socket.is_silent() {
                on_event(Event::Closed(ABNORMAL));
            }
        },
        SILENCE_CHECK_MS,
    );
    socket
}

impl Socket {
    /// Sends a frame. On a closed connection it is dropped; the close event follows.
    pub(super) fn send(self, frame: &ClientFrame) {
        if let Some(send) = self.send.try_get_value() {
            send(frame);
        }
    }

    /// The connection works: the next reconnect waits for the shortest time again.
    pub(super) fn succeeded(self) {
        self.state.with(|state| state.failures = 0);
    }

    /// Connects again after a pause that grows with each failure in a row.
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

    /// Closes it for good.
    pub(super) fn finish(self) {
        self.state.with(|state| state.is_finished = true);
        if let Some(close) = self.close.try_get_value() {
            close();
        }
    }

    fn open(self) {
        let may_open = self.state.with(|state| {
            state.is_waiting = false;
            state.heard_at = js_sys::Date::now();
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
            !state.is_waiting && !state.is_finished && js_sys::Date::now() - state.heard_at > MAX_SILENCE_MS
        };
        self.state.with(|state| is_silent(state)) == Some(true)
    }
}
