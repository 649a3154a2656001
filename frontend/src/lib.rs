//! The WebAssembly entry point: brings the islands of the page that the server rendered to life.

use wasm_bindgen::prelude::wasm_bindgen;

/// Called by the page once the module is loaded, before it brings its islands to life one by one.
#[wasm_bindgen]
pub fn hydrate() {
    #[cfg(target_arch = "wasm32")]
    console_error_panic_hook::set_once();
    app::prepare();
    leptos::mount::hydrate_islands();
}
