//! What the launch form does in the browser.

use js_sys::Reflect;
use leptos::ev::Event;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlInputElement;

use crate::components::post_form::submit;

/// Posts the form within it in place, and fills in what goes with the choice that is made.
#[island]
pub fn LaunchPad(
    /// The form.
    children: Children,
) -> impl IntoView {
    view! {
        <div class="posting" on:submit=move |event| submit(&event) on:change=move |event| choose(&event)>
            {children()}
        </div>
    }
}

fn choose(event: &Event) {
    let Some(preset) = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) else { return };
    let Some(form) = preset.form() else { return };
    for (name, value) in preset
        .get_attribute("data-values")
        .iter()
        .flat_map(|values| values.split('&'))
        .filter_map(|pair| pair.split_once('='))
    {
        let field = form.query_selector(&format!("[name='{name}']")).ok().flatten();
        if let Some(field) = field {
            // An input, or a list of choices.
            let _ = Reflect::set(&field, &"value".into(), &value.into());
        }
    }
}
