//! What the launch form does in the browser.

use leptos::ev::Event;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlInputElement;

use crate::components::post_form::submit;

/// Posts the form within it in place, and fills in the pace that suits the size that is chosen.
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
    for (pace, field) in
        [("data-shortest", "[name='form[shortest_ms]']"), ("data-longest", "[name='form[longest_ms]']")]
    {
        let field =
            form.query_selector(field).ok().flatten().and_then(|field| field.dyn_into::<HtmlInputElement>().ok());
        if let (Some(pace), Some(field)) = (preset.get_attribute(pace), field) {
            field.set_value(&pace);
        }
    }
}
