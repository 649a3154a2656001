//! Tells the binary where its site is, `target/site.bundle` in the workspace, and makes an empty one where none was built.
//!
//! The compiler itself notices when the bundle changes, so only the binary is compiled and linked again. This program runs again, and the whole
//! package is compiled again, only when the marker is gone: `cargo clean` removes it together with the bundle.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let manifest_dir = std::env::var("CARGO_MANIFEST_DIR")?;
    let target = Path::new(&manifest_dir).parent().ok_or("the package is not in the workspace")?.join("target");
    std::fs::create_dir_all(&target)?;
    let (bundle, marker) = (target.join("site.bundle"), target.join("site.bundle.marker"));
    for file in [&bundle, &marker] {
        if !file.exists() {
            std::fs::write(file, [])?;
        }
    }
    println!("cargo::rustc-env=SITE_BUNDLE={}", bundle.display());
    println!("cargo::rerun-if-changed={}", marker.display());
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}
