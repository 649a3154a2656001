//! What people see: the pages, the islands in them that live in the browser, and the server functions behind their forms.
//!
//! With the feature `ssr` this renders pages on the server; with `hydrate` it is the islands, and no page.
//!
//! # Layout
//!
//! - [`model`]: what the server hands to pages
//! - `pages`, `actions`, [`server`] (with `ssr`): the pages, the server functions, and what both reach on the server
//! - [`components`]: the islands and their parts
//! - [`channel`]: a batch's events as signals
//! - `request`: forms that are posted in place, and records that are asked for
//! - `look`: what colours tell and which squares stand out; `zoom`: which part is in sight
//! - `squares` and `painter` draw the quilt
//! - `format`, `html`: numbers and times for people, and text as HTML

#[cfg(feature = "ssr")]
pub mod actions;
pub mod channel;
pub mod components;
mod format;
mod html;
mod look;
pub mod model;
#[cfg(feature = "ssr")]
mod pages;
mod painter;
mod request;
#[cfg(feature = "ssr")]
pub mod server;
mod squares;
mod zoom;

#[cfg(feature = "ssr")]
pub use pages::{App, shell};
