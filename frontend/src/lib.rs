//! The WebAssembly entry point: hydrates the islands of the page that the server rendered.

use wasm_bindgen::prelude::wasm_bindgen;

/// Prepares the module. The page calls it once after loading the module, before it hydrates each island.
#[wasm_bindgen]
pub fn hydrate() {
    #[cfg(target_arch = "wasm32")]
    console_error_panic_hook::set_once();
    app::prepare();
    leptos::mount::hydrate_islands();
}
