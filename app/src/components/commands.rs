//! What visitors do, by pointer and by key: everything that is no form comes through here.

use leptos::ev::{Event, KeyboardEvent, MouseEvent};
use leptos::prelude::*;
use leptos::task::spawn_local;
use quilt::Square;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Element, EventTarget, HtmlDialogElement, HtmlInputElement, HtmlSelectElement, Notification, NotificationPermission,
};

use crate::components::page::{Page, Playback};
use crate::look::{self, ColorBy, Standing};
use crate::zoom;

/// The attribute that says what a button does.
const COMMAND: &str = "data-do";

impl Page {
    pub(crate) fn on_click(self, event: &MouseEvent) {
        let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let button = target.and_then(|target| target.closest(&format!("[{COMMAND}]")).ok().flatten());
        if let Some(command) = button.and_then(|button| button.get_attribute(COMMAND)) {
            self.run(&command);
        }
    }

    fn run(self, command: &str) {
        let (name, argument) = command.split_once(':').unwrap_or((command, ""));
        match name {
            "show" => self.show(look::square(argument)),
            "close" => self.close(),
            "only" => self.toggle_only(Standing::ALL.into_iter().find(|standing| standing.as_str() == argument)),
            "zoom" => self.zoom_by(argument),
            "next-failure" => self.show(self.next_failure()),
            "copy-link" => self.copy_link(),
            "notify" => self.ask_to_notify(),
            "help" => open_help(),
            "replay" => self.start_replay(),
            "replay-end" => self.end_replay(),
            "play" => self.toggle_replay(),
            _ => {}
        }
    }

    /// A choice, or a moment of the replay.
    pub(crate) fn on_input(self, event: &Event) {
        let Some(target) = event.target().and_then(|target| target.dyn_into::<Element>().ok()) else { return };
        let chosen = target.dyn_ref::<HtmlSelectElement>().map(HtmlSelectElement::value);
        match (target.id().as_str(), chosen) {
            ("color-by", Some(name)) => {
                if let Some(by) = ColorBy::ALL.into_iter().find(|by| by.as_str() == name) {
                    self.look.update(|look| look.by = by);
                }
            }
            ("speed", Some(speed)) => {
                if let (Ok(speed), Some(playback)) = (speed.parse(), self.playback.get_untracked()) {
                    self.playback.set(Some(Playback { speed, ..playback }));
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

    /// Keys that work wherever the focus is on the page, save in fields.
    pub(crate) fn on_key(self, event: &KeyboardEvent) {
        if event.alt_key() || event.meta_key() || event.ctrl_key() || event.default_prevented() {
            return;
        }
        let key = event.key();
        if key == "Escape" {
            return self.close();
        }
        if is_field(event.target()) {
            if key == "Enter" && self.go_to_typed(event.target()) {
                event.prevent_default();
            }
            return;
        }
        match key.as_str() {
            "f" => self.show(self.next_failure()),
            "/" => focus_on("go-to"),
            "?" => open_help(),
            "+" | "=" => self.zoom_by("in"),
            "-" => self.zoom_by("out"),
            "0" => self.zoom_by("whole"),
            _ => return,
        }
        event.prevent_default();
    }

    fn show(self, square: Option<Square>) {
        match square {
            Some(square) if self.grid.index(square).is_some() => {
                self.focused.set(None);
                self.focused.set(Some(square));
            }
            Some(_) => self.say("There is no such square."),
            None => self.say("No square has failed."),
        }
    }

    /// Whatever is open, what was opened last first.
    fn close(self) {
        if self.playback.get_untracked().is_some() {
            self.end_replay();
        } else if let Some(square) = self.chosen.get_untracked() {
            self.chosen.set(None);
            self.focused.set(None);
            self.focused.set(Some(square));
        } else {
            self.look.update(|look| look.only = None);
        }
    }

    fn toggle_only(self, standing: Option<Standing>) {
        self.look.update(|look| look.only = standing.filter(|standing| look.only != Some(*standing)));
    }

    fn zoom_by(self, way: &str) {
        let Some(zoom) = self.zoom.get_untracked() else { return };
        self.zoom.set(Some(match way {
            "in" => zoom.stepped(zoom::STEP),
            "out" => zoom.stepped(1.0 / zoom::STEP),
            _ => zoom.stepped(0.0),
        }));
    }

    /// Goes to the square that was typed, if the field is the one for that.
    fn go_to_typed(self, field: Option<EventTarget>) -> bool {
        let field = field.and_then(|field| field.dyn_into::<HtmlInputElement>().ok());
        let Some(field) = field.filter(|field| field.id() == "go-to") else { return false };
        match look::square(&field.value()) {
            Some(square) => self.show(Some(square)),
            None => self.say("Type a row and a column, such as 3,4."),
        }
        true
    }

    fn copy_link(self) {
        spawn_local(async move {
            let address = window().location().href().unwrap_or_default();
            let written = JsFuture::from(window().navigator().clipboard().write_text(&address)).await;
            self.say(if written.is_ok() { "The link is copied." } else { "The link could not be copied." });
        });
    }

    fn ask_to_notify(self) {
        spawn_local(async move {
            if let Ok(asked) = Notification::request_permission() {
                // The answer is looked up below.
                let _ = JsFuture::from(asked).await;
            }
            self.say(match Notification::permission() {
                NotificationPermission::Granted => "You will be notified when the batch is finished.",
                _ => "The browser does not allow notifications from this site.",
            });
        });
    }

    fn say(self, words: &str) {
        // The page may be gone by now.
        let _ = self.notice.try_set(words.into());
    }
}

/// The field of an id.
pub(crate) fn input(id: &str) -> Option<HtmlInputElement> {
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
