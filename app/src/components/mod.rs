//! What pages are made of. A type with `#[island]` lives on in the browser, with all that is within it; the others are rendered once.

#![allow(unreachable_pub, reason = "the component macro makes the types of properties public")]
#![allow(missing_docs, reason = "the island macro exports a function for each island")]

mod address;
mod banner;
#[cfg(feature = "ssr")]
pub(crate) mod batch_list;
mod commands;
mod connection_badge;
mod controls;
#[cfg(feature = "ssr")]
pub(crate) mod header;
mod help;
#[cfg(feature = "ssr")]
pub(crate) mod launch_form;
pub mod launch_pad;
mod legend;
pub mod list_refresh;
pub mod live_batch;
mod page;
mod panel;
mod pointers;
pub(crate) mod post_form;
mod progress_panel;
mod quilt_view;
mod race_panel;
mod receipt;
mod replay_bar;
mod square_details;
mod tab;
mod toolbar;
