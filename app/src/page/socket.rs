//! The WebSocket: connects, says what the page has seen, folds and acknowledges what arrives, and connects again.

use std::time::Duration;

use js_sys::{ArrayBuffer, Uint8Array};
use leptos::prelude::*;
use leptos::task::spawn_local;
use quilt::Timestamp;
use quilt::wire::ClientFrame;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{BinaryType, CloseEvent, MessageEvent, WebSocket};

use super::state::{Connection, Following, State};
use super::viewer::Received;
use super::{Page, backoff};
use crate::model::ActionError;
use crate::request;

/// The server is never silent for longer than this; a connection that is, is dead.
const SILENCE: u64 = 15_000;

/// How often to look for silence.
const LOOK: Duration = Duration::from_secs(3);

/// How often the clock on the page moves.
const TICK: Duration = Duration::from_millis(200);

/// The server's close code for "back in a moment".
const SERVICE_RESTART: u16 = 1012;

/// The server's close code for "the batch was removed".
const REMOVED: u16 = 4404;

/// The connection, and how it went so far.
#[derive(Default)]
pub(super) struct Link {
    open: Option<OpenSocket>,
    /// Connections in a row that brought nothing new.
    failures: u32,
    /// Whether a connection is about to be made.
    is_waiting: bool,
    /// When something last arrived, by the browser's clock.
    heard: Timestamp,
    /// What to add to the browser's clock to get the server's, in milliseconds.
    skew: i64,
}

/// A socket with what listens to it.
struct OpenSocket {
    socket: WebSocket,
    _on_open: Closure<dyn Fn()>,
    _on_message: Closure<dyn Fn(MessageEvent)>,
    _on_close: Closure<dyn Fn(CloseEvent)>,
}

impl OpenSocket {
    /// Connects; `None` where the browser does not let it.
    fn new(page: Page, address: &str) -> Option<Self> {
        let socket = WebSocket::new(address).ok()?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let on_open = Closure::new(move || page.hello());
        let on_message = Closure::new(move |event: MessageEvent| {
            if let Ok(buffer) = event.data().dyn_into::<ArrayBuffer>() {
                page.receive(&Uint8Array::new(&buffer).to_vec());
            }
        });
        let on_close = Closure::new(move |event: CloseEvent| page.closed(event.code()));
        socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        Some(Self { socket, _on_open: on_open, _on_message: on_message, _on_close: on_close })
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        // It may be closed already.
        let _ = self.socket.close();
    }
}

impl Page {
    /// Connects, and stays connected for as long as the page is there.
    pub(super) fn connect(self) {
        if let Some(now) = self.read(|state| state.now) {
            self.with_link(|link| link.skew = skew(now));
        }
        self.reopen();
        set_interval(move || self.look(), LOOK);
        set_interval(move || self.tick(), TICK);
    }

    /// Asks for the attempts to come.
    pub(super) fn say_follow(self) {
        let after = self.read(|state| (state.following == Following::Live).then(|| state.race().offset()));
        if let Some(Some(after)) = after {
            self.say(ClientFrame::Follow { after });
        }
    }

    fn with_link<T>(self, change: impl FnOnce(&mut Link) -> T) -> Option<T> {
        self.with_stage(|stage| change(&mut stage.link))
    }

    /// Connects, or connects anew, unless the batch is gone.
    fn reopen(self) {
        let Some(id) = self.read(|state| (state.connection != Connection::Removed).then_some(state.id)).flatten()
        else {
            return;
        };
        let location = window().location();
        let origin = location.origin().unwrap_or_default().replacen("http", "ws", 1);
        let open = OpenSocket::new(self, &format!("{origin}/batches/{id}/channel"));
        self.with_link(|link| {
            link.open = open;
            link.is_waiting = false;
            link.heard = browser_now();
        });
    }

    fn say(self, frame: ClientFrame) {
        self.with_link(|link| {
            if let Some(open) = &link.open {
                // What cannot be sent is on a connection that is closing, which is noticed by itself.
                let _ = open.socket.send_with_u8_array(&frame.encode());
            }
        });
    }

    fn hello(self) {
        let from = self.update(|state| {
            state.viewer.connected();
            if state.following == Following::Failed {
                // It may be read now.
                state.following = Following::No;
            }
            state.step()
        });
        if let Some(from) = from {
            self.say(ClientFrame::Hello { from });
            self.say_follow();
        }
    }

    fn receive(self, message: &[u8]) {
        self.with_link(|link| link.heard = browser_now());
        let Some(received) = self.update(|state| state.receive(message)) else { return };
        match received {
            Received::Changed(step) => {
                self.with_link(|link| link.failures = 0);
                self.say(ClientFrame::Ack { step });
            }
            Received::Load(load) => {
                self.with_link(|link| link.skew = skew(load.now));
                self.update(|state| state.load = Some(load));
            }
            Received::OutOfStep => self.reopen_later(),
            Received::Missed => {
                if self.read(|state| state.following) == Some(Following::Live) {
                    self.read_on();
                }
            }
            Received::Raced | Received::Part => {}
        }
    }

    fn closed(self, code: u16) {
        // A browser does not tell why a connection was refused.
        spawn_local(async move {
            let Some(id) = self.read(|state| state.id) else { return };
            if let Err(ActionError::NotFound) = request::get(&format!("/api/batches/{id}")).await {
                self.update(|state| state.connection = Connection::Removed);
            }
        });
        self.update(|state| {
            state.connection = match (code, state.connection) {
                (REMOVED, _) | (_, Connection::Removed) => Connection::Removed,
                (SERVICE_RESTART, _) | (_, Connection::Restarting) => Connection::Restarting,
                _ => Connection::Reconnecting,
            };
        });
        self.reopen_later();
    }

    /// Connects anew after a wait that grows with each failure in a row. While one is waited for, there is no other.
    fn reopen_later(self) {
        let failures = self.with_link(|link| {
            let failures = link.failures;
            (!std::mem::replace(&mut link.is_waiting, true)).then(|| {
                link.failures = failures.saturating_add(1);
                failures
            })
        });
        if let Some(Some(failures)) = failures {
            set_timeout(move || self.reopen(), backoff::delay(failures, js_sys::Math::random()));
        }
    }

    /// Looks for silence.
    fn look(self) {
        let is_silent = self.with_link(|link| {
            link.open.is_some() && !link.is_waiting && browser_now().millis_since(link.heard) > SILENCE
        });
        if is_silent == Some(true) {
            self.update(|state| state.connection = Connection::Reconnecting);
            self.reopen();
        }
    }

    /// Moves the clock on.
    fn tick(self) {
        if self.read(State::is_running) == Some(true)
            && let Some(skew) = self.with_link(|link| link.skew)
        {
            let now = Timestamp(browser_now().0.saturating_add_signed(skew));
            self.update(|state| {
                state.now = now;
                state.pace = state.samples.sample(now, state.summary.progress.settled());
            });
        }
    }
}

impl State {
    /// Folds a message in.
    fn receive(&mut self, message: &[u8]) -> Received {
        let received = self.viewer.receive(message, self.following == Following::Reading);
        match received {
            Received::Changed(_) => {
                self.connection = Connection::Live;
                self.publish();
            }
            Received::Load(_) => {
                self.race_version += 1;
                // A page that has seen everything is told nothing else.
                if self.step().is_some() {
                    self.connection = Connection::Live;
                }
            }
            Received::Raced => self.race_version += 1,
            Received::OutOfStep => self.viewer.forget(),
            Received::Missed | Received::Part => {}
        }
        received
    }
}

fn browser_now() -> Timestamp {
    Timestamp(js_sys::Date::now() as u64)
}

fn skew(server_now: Timestamp) -> i64 {
    server_now.0 as i64 - browser_now().0 as i64
}
