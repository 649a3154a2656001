//! The parts that pages are made of.

#![allow(unreachable_pub, reason = "the component macro makes the types of properties public")]

pub(crate) mod attempts;
pub(crate) mod banner;
pub(crate) mod batch_list;
pub(crate) mod connection_badge;
pub(crate) mod controls;
pub(crate) mod header;
pub(crate) mod launch_form;
pub(crate) mod progress_panel;
pub(crate) mod quilt_grid;
pub(crate) mod receipt;
