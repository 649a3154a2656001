//! Synchronizes the view with the URL, so that a link opens the same view.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use leptos::prelude::*;
use viewer::Zoom;
use viewer::address::View as Query;
use wasm_bindgen::JsValue;

use super::context::Batch;
use super::shared::{effect, later};

/// How long the view has to stay the same before the URL is updated. Browsers refuse hundreds of updates within seconds, and a drag changes
/// the view with every frame.
const SETTLE_TIME: Duration = Duration::from_millis(150);

/// Reads the view from the URL once, and updates the URL whenever the view has changed.
pub(crate) fn use_address(batch: Batch) {
    let view = batch.view;
    // The query that the URL has or is about to get; `None` before it was read.
    let known: Rc<RefCell<Option<String>>> = Rc::default();
    effect(move || {
        let (look, chosen) = (view.look.get(), view.chosen.get());
        let (reason, place) = (view.reason.get(), view.zoom.get().and_then(Zoom::place));
        if known.borrow().is_none() {
            // Effects run only in the browser, and this one runs before the first paint.
            read(batch);
            known.replace(Some(String::new()));
        } else if batch.stage.wanted_place.with(|place| place.is_none()) == Some(true) {
            let query = Query { look, chosen, reason, place }.to_query();
            if known.borrow().as_ref() != Some(&query) {
                known.replace(Some(query.clone()));
                let known = Rc::clone(&known);
                later(move || write_latest(&known, &query), SETTLE_TIME);
            }
        }
    });
}

fn read(batch: Batch) {
    let Query { look, chosen, reason, place } = Query::from_query(&window().location().search().unwrap_or_default());
    let chosen = chosen.filter(|square| batch.grid().index(*square).is_some());
    batch.view.look.set(look);
    batch.view.reason.set(reason);
    batch.view.chosen.set(chosen);
    batch.view.focused.set(chosen);
    batch.stage.wanted_place.with(|wanted| *wanted = place);
}

/// Replaces the query of the URL, unless the view has changed since. If the browser refuses, the next change tries again.
fn write_latest(known: &RefCell<Option<String>>, query: &str) {
    if known.borrow().as_deref() != Some(query) {
        return;
    }
    let location = window().location();
    let (Ok(path), Ok(history)) = (location.pathname(), window().history()) else { return };
    if history.replace_state_with_url(&JsValue::NULL, "", Some(&format!("{path}{query}"))).is_err() {
        known.replace(Some(String::new()));
    }
}
