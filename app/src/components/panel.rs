//! A part of the page that is made as text.

use leptos::html::Div;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

/// Takes the place of what it shows, and shows it anew when it changes. The focus stays with the element of the same id.
#[component]
pub(crate) fn Panel(
    /// What to show.
    html: Signal<String>,
) -> impl IntoView {
    let element = NodeRef::<Div>::new();
    Effect::new(move |shown: Option<String>| {
        let html = html.get();
        if let Some(element) = element.get()
            && shown.as_ref() != Some(&html)
        {
            replace(&element, &html, shown.is_none());
        }
        html
    });
    view! { <div class="panel" node_ref=element inner_html=html.get_untracked()></div> }
}

/// `is_first` is what the server has sent already, unless it has changed since.
fn replace(element: &HtmlElement, html: &str, is_first: bool) {
    if is_first && element.inner_html() == html {
        return;
    }
    let focused =
        document().active_element().filter(|focused| element.contains(Some(focused))).map(|focused| focused.id());
    element.set_inner_html(html);
    let again = focused.filter(|id| !id.is_empty()).and_then(|id| document().get_element_by_id(&id));
    if let Some(again) = again.and_then(|again| again.dyn_into::<HtmlElement>().ok()) {
        // Where it cannot be focused, the focus is where the browser has put it.
        let _ = again.focus();
    }
}
