//! Forms that are posted without leaving the page, and as plain forms where there is no JavaScript.

use leptos::prelude::*;
use leptos::task::spawn_local;
use quilt::BatchId;
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, HtmlFormElement};

use crate::model::ActionError;
use crate::{navigation, request};

/// The addresses of the server functions.
pub(crate) mod action {
    #[cfg(feature = "ssr")]
    pub(crate) const LAUNCH: &str = "/actions/launch";
    pub(crate) const CANCEL: &str = "/actions/cancel";
    pub(crate) const REMOVE: &str = "/actions/remove";
    pub(crate) const RETRY_FAILED: &str = "/actions/retry_failed";
    pub(crate) const RETRY_SQUARE: &str = "/actions/retry_square";
    pub(crate) const RUN_AGAIN: &str = "/actions/run_again";
    pub(crate) const SET_CONCURRENCY: &str = "/actions/set_concurrency";
    pub(crate) const SET_PAUSED: &str = "/actions/set_paused";
}

/// The class of what surrounds forms, and holds the place for why one of them was refused.
const SURROUNDINGS: &str = ".posting";

/// The class of that place.
const REFUSAL: &str = ".refusal";

/// A form about a batch. `fields` is HTML; its last element is usually the button.
pub(crate) fn form(action: &str, id: BatchId, fields: &str) -> String {
    format!(r#"<form method="post" action="{action}"><input type="hidden" name="id" value="{id}">{fields}</form>"#)
}

/// The button of a form.
pub(crate) fn button(id: &str, class: &str, label: &str) -> String {
    format!(r#"<button type="submit" id="{id}" class="button {class}">{label}</button>"#)
}

/// The place where it is told why a form was refused. It has to be within an element of the class `posting`.
#[component]
pub(crate) fn Refusal(
    /// The reason why a form was refused that was posted without JavaScript.
    #[prop(default = None)]
    reason: Option<String>,
) -> impl IntoView {
    view! { <p class="refusal" role="alert">{reason}</p> }
}

/// Posts the form of an event, unless it is on its way already, and goes where the answer leads, or tells why it is refused.
pub(crate) fn submit(event: &Event) {
    let Some(form) = event.target().and_then(|target| target.dyn_into::<HtmlFormElement>().ok()) else { return };
    if form.method() == "dialog" {
        return;
    }
    event.prevent_default();
    if form.has_attribute("aria-busy") {
        return;
    }
    // An attribute of a valid name can be set.
    let _ = form.set_attribute("aria-busy", "true");
    spawn_local(async move {
        let posted = post(&form).await;
        let _ = form.remove_attribute("aria-busy");
        if let Some(place) = place_of_refusal(&form) {
            place.set_text_content(posted.err().map(|error| error.to_string()).as_deref());
        }
    });
}

async fn post(form: &HtmlFormElement) -> Result<(), ActionError> {
    match request::post(form).await? {
        Some(target) => navigation::go_to(&target).await.map_err(request::transport),
        None => Ok(()),
    }
}

fn place_of_refusal(form: &Element) -> Option<Element> {
    form.closest(SURROUNDINGS).ok()??.query_selector(REFUSAL).ok()?
}
