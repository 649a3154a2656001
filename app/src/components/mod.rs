//! What pages are made of. A type with `#[island]` lives on in the browser, with all that is within it; the others are rendered once.

#![allow(unreachable_pub, reason = "the component macro makes the types of properties public")]
#![allow(clippy::needless_pass_by_value, reason = "the properties of an island are values")]
#![allow(missing_docs, reason = "the island macro exports a function for each island")]

#[cfg(feature = "ssr")]
pub(crate) mod batch_list;
#[cfg(feature = "ssr")]
pub(crate) mod header;
#[cfg(feature = "ssr")]
pub(crate) mod launch_form;
pub mod launch_pad;
pub mod list_refresh;
pub mod live_batch;
pub(crate) mod post_form;
mod quilt_stage;
