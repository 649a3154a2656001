//! The events that the page listens to.

use leptos::prelude::window;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Event, EventTarget, HtmlElement};

use super::Page;
use super::look::{self, Look};
use crate::components::post_form::submit;

/// Of what is within the page's element, whatever it is at that moment: panels come and go. Two of them do not bubble, and are caught on their way down.
const PAGE: [&str; 5] = ["click", "input", "submit", "toggle", "scroll"];

/// Of the quilt.
const QUILT: [&str; 10] = [
    "keydown",
    "focusin",
    "click",
    "mousemove",
    "mouseleave",
    "pointerdown",
    "pointermove",
    "pointerup",
    "pointercancel",
    "wheel",
];

/// Of the window.
const WINDOW: [&str; 3] = ["resize", "visibilitychange", "keydown"];

impl Page {
    /// Listens for as long as there is this document, which is as long as there is this page.
    pub(super) fn listen(self, article: &HtmlElement, quilt: &HtmlElement) {
        listen(quilt, &QUILT, move |event| self.on_quilt_event(event));
        listen(article, &PAGE, move |event| self.on_page_event(event));
        listen(&window(), &WINDOW, move |event| self.on_window_event(event));
        if let Some(scheme) = look::dark_scheme() {
            listen(&scheme, &["change"], move |_| {
                self.update(|state| state.set_look(Look { is_dark: look::is_dark(), ..state.look }));
            });
        }
    }

    fn on_page_event(self, event: &Event) {
        match event.type_().as_str() {
            "click" => self.on_click(event),
            "input" => self.on_input(event),
            "submit" => submit(event),
            "scroll" => self.on_scroll(event),
            _ => self.on_toggle(event),
        }
    }

    fn on_quilt_event(self, event: &Event) {
        match event.type_().as_str() {
            "keydown" => self.on_quilt_key(event.unchecked_ref()),
            "focusin" => self.on_quilt_focus(event),
            "click" => self.on_quilt_click(event.unchecked_ref()),
            "mousemove" => self.on_quilt_hover(event.unchecked_ref()),
            "mouseleave" => self.on_quilt_leave(),
            "wheel" => self.on_quilt_wheel(event.unchecked_ref()),
            _ => self.on_quilt_pointer(event.unchecked_ref()),
        }
    }

    fn on_window_event(self, event: &Event) {
        match event.type_().as_str() {
            "resize" => self.on_resize(),
            // A page that is hidden has no more frames, and one of them may be waited for.
            "visibilitychange" => self.show(),
            _ => self.on_key(event.unchecked_ref()),
        }
    }
}

fn listen(target: &EventTarget, names: &[&str], handle: impl Fn(&Event) + 'static) {
    let handler = Closure::<dyn Fn(Event)>::new(move |event: Event| handle(&event));
    for name in names {
        // Refused nowhere.
        let _ = target.add_event_listener_with_callback_and_bool(
            name,
            handler.as_ref().unchecked_ref(),
            matches!(*name, "toggle" | "scroll"),
        );
    }
    handler.forget();
}
