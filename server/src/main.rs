//! The `quilt` binary: the server's library, linked with the site.

use std::process::ExitCode;

/// What `cargo xtask build` has made; nothing where no site was built. A debug build takes its site from a folder: the pages of debug and
/// release builds of Leptos do not fit together.
const SITE: &[u8] = if cfg!(debug_assertions) { &[] } else { include_bytes!(env!("SITE_BUNDLE")) };

fn main() -> ExitCode {
    server::main(SITE)
}
