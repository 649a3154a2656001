//! The views. Each folder contains one part of the page and has a style sheet of the same name.

#![allow(unreachable_pub, reason = "the component macro makes the types of properties public")]
#![allow(clippy::needless_pass_by_value, reason = "properties are values")]

pub(crate) mod batch;
pub(crate) mod forms;
pub(crate) mod home;
pub(crate) mod quilt;
pub(crate) mod race;
pub(crate) mod results;
pub(crate) mod shared;
pub(crate) mod square_link;
