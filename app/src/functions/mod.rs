//! The server functions. Each can be called by the page and as the target of a plain form.

#![allow(missing_docs, unreachable_pub, reason = "the server macro makes types and functions of its own")]

mod control;
mod launch;
mod list;
mod theme;

pub use control::{Control, control};
pub use launch::{Launch, launch};
pub use list::{DeleteBatches, ListBatches, delete_batches, list_batches};
pub use theme::{SetTheme, set_theme};
