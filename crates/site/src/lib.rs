//! The files that the browser loads: scripts, WebAssembly, style and assets.
//!
//! `xtask` writes them twice, as a [`Folder`] and as a [`Bundle`], one block of bytes that the server's binary is linked with. The server
//! serves either of them. cargo-leptos writes a folder of the same form.

mod bundle;
mod folder;
mod names;

pub use bundle::{Bundle, BundleError, BundleFile, NewFile, bundle};
pub use folder::{Folder, FolderFile, HASH_FILE};
pub use names::{Names, PKG, content_type, has_hash};
