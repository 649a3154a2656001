//! The page of a batch, as it lives in the browser.
//!
//! Data goes one way. Whatever happens, a message, a key, an answer, changes the [`State`]; once before the browser draws, the page is
//! brought up to it: the panels that read differently now, the squares that have changed, the title of the tab, the address. What that
//! gives reason to ask the server for is asked then, and its answer is one more change.
//!
//! # Layout
//!
//! - `state`: everything that the page knows; [`Page`], the handle through which it changes
//! - `viewer`, `replay`, `pace`: the batch as it stands, as it stood, and how fast it goes
//! - `socket`, `backoff`, `reading`: how the page learns of it
//! - `events`: what the visitor does, which `commands`, `quilt_keys`, `pointers` and `playing` see to
//! - `single_keys`: whether keys do something wherever the focus is
//! - `look`, `zoom`: how the visitor looks at it; `address` keeps that in the address
//! - `results`: the table of results
//! - `frame`: brings the page up to the state; `painter` draws the quilt, `tab` what stands in the browser's tab

mod address;
mod backoff;
mod commands;
mod events;
mod frame;
pub(crate) mod look;
mod pace;
mod painter;
mod playing;
mod pointers;
mod quilt_keys;
mod reading;
mod replay;
pub(crate) mod results;
mod single_keys;
mod socket;
mod state;
mod tab;
mod viewer;
mod zoom;

use leptos::prelude::*;
use web_sys::HtmlElement;

use frame::Shown;
use painter::Painter;
use pointers::Pointers;
use socket::Link;

pub(crate) use frame::attributes;
pub(crate) use pace::Pace;
pub(crate) use state::{Connection, Following, Playback, State};
#[cfg(feature = "ssr")]
pub(crate) use tab::title;

/// The handle of a page's state. All copies are the same page.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    state: StoredValue<State, LocalStorage>,
    /// What is on the screen.
    stage: StoredValue<Stage, LocalStorage>,
}

/// What is on the screen, and what moves it.
#[derive(Default)]
struct Stage {
    painter: Option<Painter>,
    shown: Shown,
    pointers: Pointers,
    link: Link,
    /// Whether the page is about to be brought up to the state.
    is_waiting: bool,
}

impl Page {
    pub(crate) fn new(state: State) -> Self {
        let stage = Stage { shown: Shown::new(&state), ..Stage::default() };
        Self { state: StoredValue::new_local(state), stage: StoredValue::new_local(stage) }
    }

    /// Comes to life around the element with the role `grid`, within the one that holds everything.
    pub(crate) fn start(self, article: &HtmlElement, quilt: &HtmlElement) {
        let Some(grid) = self.read(|state| state.grid) else { return };
        let painter = Painter::new(grid, quilt);
        self.with_stage(|stage| stage.painter = painter);
        single_keys::recall();
        self.update(address::read);
        self.listen(article, quilt);
        self.connect();
    }

    /// Changes what is on the screen, or what moves it. `None` where the page is gone.
    fn with_stage<T>(self, change: impl FnOnce(&mut Stage) -> T) -> Option<T> {
        self.stage.try_update_value(change)
    }

    /// Looks at the state; `None` where the page is gone.
    pub(crate) fn read<T>(self, look: impl FnOnce(&State) -> T) -> Option<T> {
        self.state.try_with_value(look)
    }

    /// Changes the state; the page follows before the browser draws. `None` where it is gone.
    pub(crate) fn update<T>(self, change: impl FnOnce(&mut State) -> T) -> Option<T> {
        let changed = self.state.try_update_value(change);
        self.show_soon();
        changed
    }
}
