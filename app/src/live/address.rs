//! Synchronizes the view with the URL, so that a link opens the same view.

use leptos::prelude::*;
use viewer::address::View as Query;
use wasm_bindgen::JsValue;

use super::context::Batch;
use super::shared::effect;

/// Reads the view from the URL once, and updates the URL whenever the view changes.
pub(crate) fn use_address(batch: Batch) {
    let view = batch.view;
    // The query in the URL; `None` before it was read.
    let mut known: Option<String> = None;
    effect(move || {
        let (look, chosen) = (view.look.get(), view.chosen.get());
        let scale = view.zoom.get().filter(|zoom| !zoom.is_whole()).map(|zoom| zoom.scale);
        if known.is_none() {
            // Effects run only in the browser, and this one runs before the first paint.
            read(batch);
            known = Some(String::new());
        } else if batch.stage.wanted_scale.with(|scale| scale.is_none()) == Some(true) {
            let query = Query { look, chosen, scale }.to_query();
            if known.as_ref() != Some(&query) && write(&query) {
                known = Some(query);
            }
        }
    });
}

fn read(batch: Batch) {
    let Query { look, chosen, scale } = Query::from_query(&window().location().search().unwrap_or_default());
    let chosen = chosen.filter(|square| batch.grid().index(*square).is_some());
    batch.view.look.set(look);
    batch.view.chosen.set(chosen);
    batch.view.focused.set(chosen);
    batch.stage.wanted_scale.with(|wanted| *wanted = scale);
}

/// Replaces the query of the URL. Browsers refuse this if it happens hundreds of times within seconds; the next change tries again.
fn write(query: &str) -> bool {
    let location = window().location();
    let (Ok(path), Ok(history)) = (location.pathname(), window().history()) else { return false };
    history.replace_state_with_url(&JsValue::NULL, "", Some(&format!("{path}{query}"))).is_ok()
}
