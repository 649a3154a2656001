//! What visitors do, by pointer and by key: everything that is no form comes through here.

use leptos::prelude::*;
use leptos::task::spawn_local;
use quilt::Square;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Element, Event, EventTarget, HtmlDialogElement, HtmlInputElement, HtmlSelectElement, KeyboardEvent, Notification,
    NotificationPermission,
};

use super::Page;
use super::look::{self, ColorBy, Look, Standing};
use super::state::State;
use super::{results, single_keys, zoom};

/// The attribute that says what a button does.
const COMMAND: &str = "data-do";

/// The id of what the table of results scrolls in.
pub(super) const RESULTS: &str = "results-scroll";

impl Page {
    pub(super) fn on_click(self, event: &Event) {
        let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let button = target.and_then(|target| target.closest(&format!("[{COMMAND}]")).ok().flatten());
        if let Some(command) = button.and_then(|button| button.get_attribute(COMMAND)) {
            self.run(&command);
        }
    }

    fn run(self, command: &str) {
        let (name, argument) = command.split_once(':').unwrap_or((command, ""));
        match name {
            "copy-link" => self.copy_link(),
            "notify" => self.ask_to_notify(),
            "help" => open_help(),
            "replay" => self.start_replay(),
            "play" => self.toggle_replay(),
            "load-results" => results::ask(self),
            _ => {
                self.update(|state| state.run(name, argument));
            }
        }
    }

    /// A choice, or a moment of the replay.
    pub(super) fn on_input(self, event: &Event) {
        let Some(target) = event.target().and_then(|target| target.dyn_into::<Element>().ok()) else { return };
        let chosen = target.dyn_ref::<HtmlSelectElement>().map(HtmlSelectElement::value);
        match (target.id().as_str(), chosen) {
            ("color-by", Some(name)) => {
                if let Some(by) = ColorBy::named(&name) {
                    self.update(|state| state.set_look(Look { by, ..state.look }));
                }
            }
            ("speed", Some(speed)) => {
                if let Ok(speed) = speed.parse() {
                    self.update(|state| state.playback.iter_mut().for_each(|playback| playback.speed = speed));
                }
            }
            (single_keys::SWITCH, _) => single_keys::remember(),
            ("results-only", Some(name)) => {
                self.update(|state| state.results.set_only(&name));
            }
            ("results-filter", _) => {
                if let Some(text) = target.dyn_ref::<HtmlInputElement>().map(HtmlInputElement::value) {
                    self.update(|state| state.results.set_filter(&text));
                }
            }
            ("moment", _) => {
                if let Some(Ok(at_ms)) = target.dyn_ref::<HtmlInputElement>().map(|range| range.value().parse()) {
                    self.seek(at_ms);
                }
            }
            _ => {}
        }
    }

    /// Something is opened or closed.
    pub(super) fn on_toggle(self, event: &Event) {
        let details = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let Some(details) = details else { return };
        let is_open = details.has_attribute("open");
        self.update(|state| match details.id().as_str() {
            "race" => {
                state.is_race_open = is_open;
                state.race_version += 1;
            }
            "results" => state.results.is_open = is_open,
            _ => {}
        });
    }

    /// The table of results is scrolled.
    pub(super) fn on_scroll(self, event: &Event) {
        let scrolled = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        if let Some(scrolled) = scrolled.filter(|scrolled| scrolled.id() == RESULTS) {
            let top = usize::try_from(scrolled.scroll_top()).unwrap_or_default();
            self.update(|state| state.results.scrolled(top));
        }
    }

    /// Keys that work wherever the focus is, save in fields.
    pub(super) fn on_key(self, event: &KeyboardEvent) {
        if event.alt_key() || event.meta_key() || event.ctrl_key() || event.default_prevented() {
            return;
        }
        let is_modal = document().query_selector("dialog[open]").is_ok_and(|dialog| dialog.is_some());
        if is_modal {
            return;
        }
        let key = event.key();
        if key == "Escape" {
            self.update(State::close);
            return;
        }
        if is_field(event.target()) {
            if key == "Enter" && self.go_to_typed(event.target()) {
                event.prevent_default();
            }
            return;
        }
        if !single_keys::are_on() {
            return;
        }
        match key.as_str() {
            "f" => self.run("next-failure"),
            "/" => focus_on("go-to"),
            "?" => open_help(),
            "+" | "=" => self.run("zoom:in"),
            "-" => self.run("zoom:out"),
            "0" => self.run("zoom:whole"),
            _ => return,
        }
        event.prevent_default();
    }

    /// Goes to the square that was typed, if the field is the one for that.
    fn go_to_typed(self, field: Option<EventTarget>) -> bool {
        let field = field.and_then(|field| field.dyn_into::<HtmlInputElement>().ok());
        let Some(field) = field.filter(|field| field.id() == "go-to") else { return false };
        let square = look::square(&field.value());
        self.update(|state| match square {
            Some(square) => state.show(square),
            None => state.notice = "Type a row and a column, such as 3,4.",
        });
        true
    }

    fn copy_link(self) {
        spawn_local(async move {
            let address = window().location().href().unwrap_or_default();
            if !js_sys::Reflect::has(&window().navigator(), &"clipboard".into()).unwrap_or_default() {
                return self.note("This browser copies links only over https; please copy the address.");
            }
            let written = JsFuture::from(window().navigator().clipboard().write_text(&address)).await;
            self.note(if written.is_ok() { "The link is copied." } else { "The link could not be copied." });
        });
    }

    fn ask_to_notify(self) {
        spawn_local(async move {
            if !super::tab::has_notifications() {
                return self.note("This browser has no notifications.");
            }
            if let Ok(asked) = Notification::request_permission() {
                // The answer is looked up below.
                let _ = JsFuture::from(asked).await;
            }
            self.note(match Notification::permission() {
                NotificationPermission::Granted => "You will be notified when the batch is finished.",
                _ => "The browser does not allow notifications from this site.",
            });
        });
    }

    fn note(self, words: &'static str) {
        self.update(|state| state.notice = words);
    }
}

impl State {
    /// Does what needs nothing but the state.
    fn run(&mut self, name: &str, argument: &str) {
        self.notice = "";
        match name {
            "show" => look::square(argument).into_iter().for_each(|square| self.show(square)),
            "next-failure" => match self.next_failure() {
                Some(square) => self.focus(square),
                None => self.notice = "No square has failed.",
            },
            "only" => {
                let only = Standing::named(argument).filter(|standing| self.look.only != Some(*standing));
                self.set_look(Look { only, ..self.look });
            }
            "zoom" => {
                let factor = match argument {
                    "in" => zoom::STEP,
                    "out" => 1.0 / zoom::STEP,
                    // As small as it gets.
                    _ => 0.0,
                };
                self.zoom = self.zoom.map(|zoom| zoom.stepped_at(factor, self.focused));
            }
            "replay-end" => self.end_replay(),
            "choose" => results::square_of(self.grid, argument).into_iter().for_each(|square| {
                self.choose(square);
                self.focus(square);
            }),
            "sort" => argument.parse().into_iter().for_each(|column| self.results.sort_by(column)),
            "close" => self.close(),
            _ => {}
        }
    }

    fn show(&mut self, square: Square) {
        if self.grid.index(square).is_some() {
            self.focus(square);
        } else {
            self.notice = "There is no such square.";
        }
    }

    /// Whatever is open, what was opened last first.
    fn close(&mut self) {
        if let Some(square) = self.chosen.take() {
            self.details = None;
            self.focus(square);
        } else if self.playback.is_some() {
            self.end_replay();
        } else {
            self.set_look(Look { only: None, ..self.look });
        }
    }
}

/// The field of an id.
pub(super) fn input(id: &str) -> Option<HtmlInputElement> {
    document().get_element_by_id(id)?.dyn_into().ok()
}

fn is_field(target: Option<EventTarget>) -> bool {
    let element = target.and_then(|target| target.dyn_into::<Element>().ok());
    element.is_some_and(|element| matches!(element.tag_name().as_str(), "INPUT" | "SELECT" | "TEXTAREA"))
}

fn focus_on(id: &str) {
    if let Some(field) = input(id) {
        // Where it cannot be focused, nothing is lost.
        let _ = field.focus();
    }
}

fn open_help() {
    let dialog = document().get_element_by_id("help").and_then(|dialog| dialog.dyn_into::<HtmlDialogElement>().ok());
    if let Some(dialog) = dialog {
        // It may be open already.
        let _ = dialog.show_modal();
    }
}
