//! What people see: the pages, the islands in them that live in the browser, and the server functions behind their forms.
//!
//! With the feature `ssr` this renders pages on the server; with `hydrate` it is the islands, and no page.
//!
//! # Layout
//!
//! - [`model`]: what the server hands to pages
//! - `pages`, `actions`, `server` (with `ssr`): the pages, the server functions, and what both reach on the server
//! - [`components`]: the islands and their parts
//! - `page`: the page of a batch as it lives in the browser
//! - `panels`: what is told of a batch, as functions of the page's state; `squares`: its squares
//! - `navigation`: from one page to another
//! - `request`: forms that are posted in place, and records that are asked for
//! - `format`, `html`: numbers and times for people, and text as HTML

#[cfg(feature = "ssr")]
pub mod actions;
pub mod components;
mod format;
mod html;
#[cfg(feature = "ssr")]
pub mod launch;
pub mod model;
mod navigation;
mod page;
#[cfg(feature = "ssr")]
mod pages;
mod panels;
mod request;
#[cfg(feature = "ssr")]
pub mod server;
mod squares;

#[cfg(feature = "ssr")]
pub use pages::{App, shell};
