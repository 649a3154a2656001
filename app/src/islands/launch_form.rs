//! The form that launches a batch.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use wasm_bindgen::JsCast;
use web_sys::{Event, FormData, HtmlFormElement, HtmlInputElement, HtmlSelectElement, SubmitEvent};

use crate::components::forms::RefusalText;
use crate::components::shared::{flag, on, optional, text};
use crate::functions::{Launch, launch};
use crate::live::shared::effect;

/// A plain form around its fields. With JavaScript it is posted without leaving the page: a refusal is displayed, and a launch navigates to
/// the batch's page.
#[island]
pub fn LaunchForm(
    /// Why the form was refused when it was posted without JavaScript.
    refusal: Option<String>,
    /// The fields.
    children: Children,
) -> impl IntoView {
    let action = Action::new_local(|fields: &FormData| {
        let fields = fields.clone();
        async move { launch(fields.into()).await }
    });
    let (pending, value) = (action.pending(), action.value());
    // After a launch the form stays busy until the browser has navigated to the batch's page.
    let is_busy = flag(move || pending.get() || value.with(|launched| matches!(launched, Some(Ok(())))));
    effect(move || {
        // The browser restored the page from its back/forward cache.
        let shown = window_event_listener_untyped("pageshow", move |_| {
            if value.with_untracked(Option::is_some) {
                value.set(None);
            }
        });
        on_cleanup(move || shown.remove());
    });
    let submit = move |event: SubmitEvent| {
        let form = event.target().and_then(|target| target.dyn_into::<HtmlFormElement>().ok());
        // If the fields cannot be read, the browser posts the plain form.
        let Some(Ok(fields)) = form.map(|form| FormData::new_with_form(&form)) else { return };
        event.prevent_default();
        if !is_busy.get_untracked() {
            action.dispatch_local(fields);
        }
    };
    let reason = text(move || match value.get() {
        Some(launched) => launched.err().map(|error| error.to_string()).unwrap_or_default(),
        None => refusal.clone().unwrap_or_default(),
    });
    let is_disabled = optional(move || is_busy.get().then(|| "true".into()));
    view! {
        <form
            method="post"
            action=Launch::url()
            enctype="multipart/form-data"
            on:submit=on(submit)
            on:change=on(move |event| {
                fill_in(&event);
            })
        >
            {children()}
            <RefusalText reason />
            <button type="submit" class="button primary launch" aria-disabled=is_disabled>
                "Launch"
            </button>
        </form>
    }
}

/// Fills in the fields of a chosen preset, whose `data-values` attribute contains names and values like a query string. Returns `None` for
/// changes of other fields.
fn fill_in(event: &Event) -> Option<()> {
    let preset = event.target()?.dyn_into::<HtmlInputElement>().ok()?;
    let form = preset.form()?;
    for (name, value) in preset.get_attribute("data-values")?.split('&').filter_map(|pair| pair.split_once('=')) {
        let field = form.query_selector(&format!("[name='{name}']")).ok().flatten();
        match field.map(JsCast::dyn_into::<HtmlInputElement>) {
            Some(Ok(input)) => input.set_value(value),
            Some(Err(other)) => {
                if let Ok(choices) = other.dyn_into::<HtmlSelectElement>() {
                    choices.set_value(value);
                }
            }
            None => {}
        }
    }
    Some(())
}
