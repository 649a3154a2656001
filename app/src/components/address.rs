//! The view in the address, so that a link opens the same one.

use leptos::prelude::*;
use wasm_bindgen::JsValue;

use crate::components::page::Page;
use crate::look::{Look, square, value};

/// Looks at the quilt as the address says, and has the address say how it is looked at from then on.
pub(crate) fn keep(page: Page) {
    let Page { grid, channel, look, focused, chosen, zoom, .. } = page;
    let is_read = RwSignal::new(false);
    let wanted_scale = StoredValue::new(None::<f64>);
    // Effects run in the browser alone, and after the page has come to life as the server rendered it.
    Effect::new(move |_| {
        let query = window().location().search().unwrap_or_default();
        look.set(Look::from_query(&query, is_dark()));
        let here = value(&query, "square").and_then(square).filter(|square| grid.index(*square).is_some());
        wanted_scale.set_value(
            value(&query, "zoom").and_then(|scale| scale.parse().ok()).filter(|scale: &f64| scale.is_finite()),
        );
        if here.is_some() {
            chosen.set(here);
            focused.set(here);
        }
        is_read.set(true);
    });
    // Once it is known how large the window is.
    Effect::new(move |_| {
        let Some(now) = zoom.get() else { return };
        if let Some(scale) = wanted_scale.try_update_value(Option::take).flatten() {
            let center =
                chosen.get_untracked().unwrap_or(quilt::Square { row: grid.rows() / 2, column: grid.columns() / 2 });
            zoom.set(Some(now.at_scale(scale, center)));
        }
    });
    Effect::new(move |_| {
        if look.with(|look| look.by.needs_attempts() || look.only.is_some()) {
            channel.follow();
        }
    });
    let query = Memo::new(move |_| {
        let scale = zoom.get().filter(|zoom| !zoom.is_whole()).map(|zoom| zoom.scale);
        look.get().query(chosen.get(), scale)
    });
    Effect::new(move |_| {
        let query = query.get();
        if !is_read.get() || wanted_scale.get_value().is_some() {
            return;
        }
        let location = window().location();
        if location.search().is_ok_and(|before| before != query)
            && let (Ok(path), Ok(history)) = (location.pathname(), window().history())
        {
            // Refused only where it is done hundreds of times within seconds; a later one is let through.
            let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(&format!("{path}{query}")));
        }
    });
}

fn is_dark() -> bool {
    let dark = window().match_media("(prefers-color-scheme: dark)");
    dark.ok().flatten().is_some_and(|dark| dark.matches())
}
