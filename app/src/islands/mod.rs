//! The components that are hydrated in the browser, with everything below them.

#![allow(missing_docs, unreachable_pub, reason = "the island macro exports a function for each island")]
#![allow(clippy::needless_pass_by_value, reason = "the properties of an island are values")]

mod batch_list;
mod launch_form;
mod live_batch;

pub use batch_list::BatchList;
pub use launch_form::LaunchForm;
pub use live_batch::LiveBatch;
