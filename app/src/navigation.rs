//! From one page of this site to another.

use js_sys::{Function, Reflect};
use leptos::prelude::{document, window};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Document, Element, HtmlElement};

use crate::request;

/// What differs from page to page.
const MAIN: &str = "#main";

/// A page that lives on, and is left only with its document.
const LIVING: &str = "#main article.batch";

/// A script that loads the page of an address to which the visitor goes back or forth: where a page has taken the place of another one, the
/// browser changes the address and no more. It is there before anything else, for visitors who do not wait. The path of the page that is shown
/// is with the document's own element.
#[cfg(feature = "ssr")]
pub(crate) const FOLLOW_HISTORY: &str = "{const shown=document.documentElement.dataset;shown.path=location.pathname;\
     addEventListener('popstate',()=>shown.path===location.pathname||location.reload())}";

/// What that script calls the path of the page that is shown.
const SHOWN: &str = "data-path";

/// Shows the page at a path, unless that is this one. It takes the place of this one where it can: all that a page needs beside its content
/// is here already, and need not be loaded and started anew.
pub(crate) async fn go_to(target: &str) -> Result<(), JsValue> {
    if window().location().pathname()? == target {
        return Ok(());
    }
    if document().query_selector(LIVING)?.is_none()
        && let Ok(page) = request::get_page(target).await
        && show(target, &page)?
    {
        return Ok(());
    }
    window().location().assign(target)
}

/// Puts the content of another page in the place of this one's; `false` where that is not what pages of this site look like.
fn show(target: &str, page: &Document) -> Result<bool, JsValue> {
    let (Some(old), Some(new)) = (document().query_selector(MAIN)?, page.query_selector(MAIN)?) else {
        return Ok(false);
    };
    for unwanted in all_within(&new, "noscript") {
        // It was read as for a browser without scripts, and would work as in one.
        unwanted.remove();
    }
    window().history()?.push_state_with_url(&JsValue::NULL, "", Some(target))?;
    if let Some(root) = document().document_element() {
        root.set_attribute(SHOWN, target)?;
    }
    document().set_title(&page.title());
    old.replace_with_with_node_1(&new)?;
    window().scroll_to_with_x_and_y(0.0, 0.0);
    focus_on_heading(&new);
    for island in all_within(&new, "leptos-island") {
        hydrate(&island)?;
    }
    Ok(true)
}

/// So that whoever listens to the page is told of what it has become.
fn focus_on_heading(main: &Element) {
    let heading = main.query_selector("h1").ok().flatten();
    if let Some(heading) = heading.and_then(|heading| heading.dyn_into::<HtmlElement>().ok()) {
        heading.set_tab_index(-1);
        // Where it cannot be focused, nothing is.
        let _ = heading.focus();
    }
}

/// Brings an island to life, as the script does that loaded this module.
fn hydrate(island: &Element) -> Result<(), JsValue> {
    let hydrate: Function = Reflect::get(&window(), &"__hydrateIsland".into())?.dyn_into()?;
    let name = island.get_attribute("data-component");
    hydrate.call2(&JsValue::UNDEFINED, island, &name.into()).map(|_| ())
}

fn all_within(element: &Element, selector: &str) -> Vec<Element> {
    let Ok(found) = element.query_selector_all(selector) else { return Vec::new() };
    (0..found.length()).filter_map(|place| found.get(place)?.dyn_into().ok()).collect()
}
