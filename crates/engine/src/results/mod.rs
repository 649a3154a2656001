//! What pages of results need beside the fold of a batch, cached for the requests that follow.
//!
//! # Layout
//!
//! - [`index`]: the last attempt of each square, and orders derived from it
//! - [`items`]: the items of a batch's input
//! - [`cache`]: recently used indexes, items and batches, within a budget of memory

mod cache;
mod index;
mod items;

pub(crate) use self::cache::ResultCache;
pub use self::index::{AttemptIndex, IndexedAttempt, SortedSquares};
pub use self::items::Items;
