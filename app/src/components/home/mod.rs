//! The front page.

mod batch_list;

pub(crate) use batch_list::BatchItem;
