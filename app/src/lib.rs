//! The page: server functions, the signals of a live batch, components, islands and pages.
//!
//! With the feature `ssr` this crate renders pages on the server; with `hydrate` it runs the islands in the browser.
//!
//! # Layout
//!
//! An arrow reads "is used by": `functions`, `live` → `components` → `islands` → `pages`.
//!
//! - [`model`]: the data that the server passes to islands, and the errors of actions; `command`: the commands on a batch
//! - [`functions`]: the server functions, compiled for both sides; `actions` (with `ssr`): their implementations
//! - `live`: the signals of a batch: its channel, the visitor's view of it, and effects of both; no components
//! - `components`: the views
//! - [`islands`]: the components that are hydrated in the browser
//! - `pages` (with `ssr`): the documents
//! - [`server`], `status`, `cookies`, `draft` (with `ssr`): what pages and actions need from the server

#[cfg(feature = "ssr")]
mod actions;
mod command;
mod components;
#[cfg(feature = "ssr")]
mod cookies;
#[cfg(feature = "ssr")]
mod draft;
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
pub use draft::Draft;
#[cfg(feature = "ssr")]
pub use pages::{App, shell};

/// Prepares the browser for the islands; call once, before any of them is hydrated.
///
/// A server function that redirects to the current page must not reload it, because changes arrive on the channel.
#[cfg(feature = "hydrate")]
pub fn prepare() {
    let hook = |target: &str| {
        let location = leptos::prelude::window().location();
        let is_here = location.pathname().is_ok_and(|path| path == target);
        if !is_here {
            // Fails only for invalid URLs.
            let _ = location.assign(target);
        }
    };
    // Fails only if a hook was set before.
    let _ = leptos::server_fn::redirect::set_redirect_hook(hook);
}
