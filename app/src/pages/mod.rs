//! The pages, one for each kind of address.

#![allow(unreachable_pub, reason = "the component macro makes the types of properties public")]

pub(crate) mod batch;
pub(crate) mod home;
pub(crate) mod not_found;
