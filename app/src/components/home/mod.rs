//! The front page.

mod batch_list;
#[cfg(feature = "ssr")]
pub(crate) mod header;
#[cfg(feature = "ssr")]
pub(crate) mod launch_form;

pub(crate) use batch_list::BatchItem;
