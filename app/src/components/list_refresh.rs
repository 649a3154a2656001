//! Keeps the list of batches up to date.

use leptos::prelude::*;

/// Asks for the page again every two seconds while a batch in its list may change, and takes the list over. Without JavaScript
/// the list stays as it is.
#[island]
pub fn ListRefresh() -> impl IntoView {
    // Effects run in the browser alone.
    Effect::new(|_| refresh_later());
}

fn refresh_later() {
    /// How often the list is asked for.
    const REFRESH: std::time::Duration = std::time::Duration::from_secs(2);
    const LIST: &str = ".batches";
    const MOVING: &str = ".batches :is([data-status=running], [data-status=paused])";

    let is_moving = || document().query_selector(MOVING).is_ok_and(|moving| moving.is_some());
    if !is_moving() {
        return;
    }
    set_timeout(
        || {
            leptos::task::spawn_local(async {
                // Where the server did not answer, it may do so in a moment.
                if let Ok(page) = crate::request::get_page("/").await
                    && let (Ok(Some(new)), Ok(Some(old))) = (page.query_selector(LIST), document().query_selector(LIST))
                {
                    // Whoever has come to a batch with the keyboard stays there.
                    let address = document().active_element().and_then(|element| element.get_attribute("href"));
                    old.set_inner_html(&new.inner_html());
                    let again = address.and_then(|href| old.query_selector(&format!("[href='{href}']")).ok().flatten());
                    if let Some(link) =
                        again.and_then(|link| wasm_bindgen::JsCast::dyn_into::<web_sys::HtmlElement>(link).ok())
                    {
                        let _ = link.focus();
                    }
                }
                refresh_later();
            });
        },
        REFRESH,
    );
}
