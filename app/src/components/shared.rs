//! Boxed types that keep the WebAssembly small. Leptos instantiates its code for each type of child, attribute and event handler, and every
//! closure has its own type. These functions give all texts, flags and handlers in views one type each.

use std::sync::Arc;

use leptos::prelude::*;

/// A computed text, for a child or an attribute.
pub(crate) fn text(compute: impl Fn() -> String + Send + Sync + 'static) -> Signal<String> {
    derived(Box::new(compute))
}

fn derived(compute: Box<dyn Fn() -> String + Send + Sync>) -> Signal<String> {
    Signal::derive(compute)
}

/// A computed text that notifies its readers only if the result differs.
pub(crate) fn memo_text(compute: impl Fn() -> String + Send + Sync + 'static) -> Signal<String> {
    let compute = derived(Box::new(compute));
    Memo::new(move |_| compute.get()).into()
}

/// A condition that notifies its readers only when it changes.
pub(crate) fn flag(compute: impl Fn() -> bool + Send + Sync + 'static) -> Signal<bool> {
    condition(Box::new(compute))
}

fn condition(compute: Box<dyn Fn() -> bool + Send + Sync>) -> Signal<bool> {
    Memo::new(move |_| compute()).into()
}

/// An optional attribute. `None` removes it.
pub(crate) fn optional(compute: impl Fn() -> Option<String> + Send + Sync + 'static) -> Signal<Option<String>> {
    attribute(Box::new(compute))
}

fn attribute(compute: Box<dyn Fn() -> Option<String> + Send + Sync>) -> Signal<Option<String>> {
    Signal::derive(compute)
}

/// Keys for [`Each`].
pub(crate) fn keys(compute: impl Fn() -> Vec<String> + Send + Sync + 'static) -> Signal<Vec<String>> {
    list(Box::new(compute))
}

fn list(compute: Box<dyn Fn() -> Vec<String> + Send + Sync>) -> Signal<Vec<String>> {
    Signal::derive(compute)
}

/// An event handler.
pub(crate) fn on<E: 'static>(handle: impl FnMut(E) + 'static) -> Box<dyn FnMut(E)> {
    Box::new(handle)
}

/// An optional view.
pub(crate) fn maybe<V: IntoView + 'static>(view: Option<V>) -> AnyView {
    match view {
        Some(view) => view.into_any(),
        None => ().into_any(),
    }
}

/// A sequence of views.
pub(crate) fn all<V: IntoView + 'static>(views: impl IntoIterator<Item = V>) -> AnyView {
    let views: Vec<AnyView> = views.into_iter().map(IntoAny::into_any).collect();
    views.into_any()
}

/// Renders its children while a condition holds.
#[component]
pub(crate) fn When(condition: Signal<bool>, children: ChildrenFn) -> impl IntoView {
    move || condition.get().then(|| children())
}

/// Renders a view for each key. An element is reused for as long as the list contains its key.
#[component]
pub(crate) fn Each(keys: Signal<Vec<String>>, view: EachView) -> impl IntoView {
    view! { <For each=move || keys.get() key=|key| key.clone() children=move |key| (view.0)(key) /> }
}

/// The function with which [`Each`] renders a key.
#[derive(Clone)]
pub(crate) struct EachView(Arc<dyn Fn(String) -> AnyView + Send + Sync>);

/// Boxes the function for [`Each`].
pub(crate) fn each<V: IntoView + 'static>(view: impl Fn(String) -> V + Send + Sync + 'static) -> EachView {
    EachView(Arc::new(move |key| view(key).into_any()))
}

/// Whether the element of a `toggle` event is open.
pub(crate) fn is_details_open(event: &web_sys::Event) -> bool {
    let element = event.target().and_then(|target| wasm_bindgen::JsCast::dyn_into::<web_sys::Element>(target).ok());
    element.is_some_and(|element| element.has_attribute("open"))
}
