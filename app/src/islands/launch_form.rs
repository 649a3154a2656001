//! The form that launches a batch.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, FormData, HtmlElement, HtmlFormElement, HtmlInputElement, SubmitEvent};

use crate::components::forms::RefusalText;
use crate::components::shared::{flag, on, optional};
use crate::functions::{Launch, launch};
use crate::live::shared::effect;
use crate::model::ActionError;

/// The attribute of a field whose value is refused. The style displays the reason beside it.
const INVALID: &str = "aria-invalid";

/// The inputs whose values are invalid, without rows and columns unless the custom size is chosen.
const INVALID_INPUT: &str = "input:invalid:not(form:has([value=custom]:not(:checked)) .size input)";

/// A plain form around its fields. With JavaScript it is posted without leaving the page: a refusal is displayed, at its field if it is about
/// one, and a launch navigates to the batch's page.
#[island]
pub fn LaunchForm(
    /// The fields.
    children: Children,
) -> impl IntoView {
    let action = Action::new_local(|fields: &FormData| {
        let fields = fields.clone();
        async move { launch(fields.into()).await }
    });
    let (pending, value) = (action.pending(), action.value());
    let reason = RwSignal::new(String::new());
    // After a launch the form stays busy until the browser has navigated to the batch's page.
    let is_busy = flag(move || pending.get() || value.with(|launched| matches!(launched, Some(Ok(())))));
    effect(move || match value.get() {
        Some(Err(ActionError::Invalid(name, text))) => {
            let field = document().query_selector(&format!("[name='{name}']")).ok().flatten();
            if field.and_then(|field| refuse(&field, &text)).is_none() {
                reason.set(text);
            }
        }
        Some(Err(error)) => reason.set(error.to_string()),
        _ => {}
    });
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
        let Some(form) = form else { return };
        if let Ok(Some(field)) = form.query_selector(INVALID_INPUT) {
            event.prevent_default();
            refuse(&field, "");
            return;
        }
        // If the fields cannot be read, the browser posts the plain form.
        let Ok(fields) = FormData::new_with_form(&form) else { return };
        event.prevent_default();
        if !is_busy.get_untracked() {
            // Clearing the text makes screen readers announce the same refusal again.
            reason.set(String::new());
            action.dispatch_local(fields);
        }
    };
    let edit = move |event: Event| {
        reason.set(String::new());
        edited(&event);
    };
    let is_disabled = optional(move || is_busy.get().then(|| "true".into()));
    view! {
        <form
            class="launch-form"
            method="post"
            action=Launch::url()
            enctype="multipart/form-data"
            // The browser's own messages cannot point into a closed section.
            novalidate=true
            on:submit=on(submit)
            on:input=on(edit)
        >
            {children()}
            <RefusalText reason=reason.into() />
            <button type="submit" class="button primary launch" aria-disabled=is_disabled>
                "Launch"
            </button>
        </form>
    }
}

/// Marks a field, displays the reason beside it, opens the section that it is in, and focuses it. `None` if there is no place for the
/// reason.
fn refuse(field: &Element, reason: &str) -> Option<()> {
    mark(field, reason)?;
    open_section(field);
    // Fails only for elements that cannot be focused.
    field.dyn_ref::<HtmlElement>()?.focus().ok()
}

fn mark(field: &Element, reason: &str) -> Option<()> {
    field.set_attribute(INVALID, "true").ok()?;
    field.closest(".field").ok()??.query_selector(".error").ok()??.set_text_content(Some(reason));
    Some(())
}

fn open_section(field: &Element) -> Option<Element> {
    let section = field.closest("details").ok().flatten()?;
    // Fails only for invalid names.
    let _ = section.set_attribute("open", "");
    Some(section)
}

/// Removes the mark of a field that is edited, and notes whether its value differs from the initial one. Browsers restore the fields of a
/// form, also those in a closed section, so a section with such a field is opened and says how many there are.
fn edited(event: &Event) -> Option<()> {
    let field: Element = event.target()?.dyn_into().ok()?;
    field.remove_attribute(INVALID).ok()?;
    let is_changed = match field.dyn_ref::<HtmlInputElement>() {
        Some(input) => {
            check_size(input);
            input.value() != input.default_value()
        }
        None => field.matches("select:has(:checked:not([selected]))").ok()?,
    };
    field.toggle_attribute_with_force("data-changed", is_changed).ok()?;
    let section = field.closest("details").ok()??;
    if is_changed {
        open_section(&field);
    }
    let changed = section.query_selector_all("[data-changed]").ok()?.length();
    let text = if changed > 0 { format!("{changed} changed") } else { String::new() };
    section.query_selector(".changed").ok()??.set_text_content(Some(&text));
    Some(())
}

/// Refuses a file that is too large, before it is uploaded.
fn check_size(input: &HtmlInputElement) -> Option<()> {
    let file = input.files()?.get(0);
    let max: u64 = input.get_attribute("data-max")?.parse().ok()?;
    let size = file.map_or(0, |file| file.size() as u64);
    let mut reason = String::new();
    if size > max {
        reason = format!(
            "The file has {} MiB; the limit is {} MiB. Choose a smaller one.",
            size.div_ceil(1 << 20),
            max >> 20
        );
        mark(input, &reason);
    }
    input.set_custom_validity(&reason);
    Some(())
}
