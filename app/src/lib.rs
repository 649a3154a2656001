//! The page: server functions, the signals of a live batch, components, islands and pages.
//!
//! With the feature `ssr` this renders pages on the server; with `hydrate` it is the islands in the browser.
//!
//! # Layout
//!
//! An arrow reads "is used by": `functions`, `live` → `components` → `islands` → `pages`.
//!
//! - [`model`]: what the server hands to islands, and why an action was refused; `command`: what can be done with a batch
//! - [`functions`]: the server functions, compiled on both sides; `actions` (with `ssr`): what they do
//! - `live`: the signals of a batch: its channel, how the visitor looks at it, and what follows from both; no views
//! - `components`: the views
//! - [`islands`]: the components that live on in the browser
//! - `pages` (with `ssr`): the documents
//! - [`server`], `status` (with `ssr`): what pages and actions use of the server

#[cfg(feature = "ssr")]
mod actions;
mod command;
mod components;
pub mod functions;
pub mod islands;
mod live;
pub mod model;
#[cfg(feature = "ssr")]
mod pages;
#[cfg(feature = "ssr")]
pub mod server;
#[cfg(feature = "ssr")]
mod status;

#[cfg(feature = "ssr")]
pub use pages::{App, shell};

/// Prepares the browser for the islands; call once, before any of them is hydrated.
///
/// A server function that answers with the address of this page must not reload it: what changed arrives on the channel.
#[cfg(feature = "hydrate")]
pub fn prepare() {
    let hook = |target: &str| {
        let location = leptos::prelude::window().location();
        let is_here = location.pathname().is_ok_and(|path| path == target);
        if !is_here {
            // Refused only for addresses that are none.
            let _ = location.assign(target);
        }
    };
    // It is the first one, so it is taken.
    let _ = leptos::server_fn::redirect::set_redirect_hook(hook);
}
