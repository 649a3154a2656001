//! The `quilt` binary: the library of the server, with the embedded site.

use std::process::ExitCode;

/// The bundle of `cargo xtask build`, or empty. Debug builds read the site from a folder, because the pages of debug and release builds of
/// Leptos are incompatible.
const SITE: &[u8] = if cfg!(debug_assertions) { &[] } else { include_bytes!(env!("SITE_BUNDLE")) };

fn main() -> ExitCode {
    server::main(SITE)
}
