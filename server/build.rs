//! Tells the binary where the site of its profile is, `target/site.PROFILE.bundle` in the workspace, and makes an empty one where none was built.
//!
//! The compiler itself notices when the bundle changes, so only the binary is compiled and linked again. This program runs again, and the whole
//! package is compiled again, only when the marker is gone: `make clean` removes it together with the bundle.

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::time::SystemTime;

fn main() -> Result<(), Box<dyn Error>> {
    let (manifest_dir, out_dir) = (std::env::var("CARGO_MANIFEST_DIR")?, std::env::var("OUT_DIR")?);
    let target = Path::new(&manifest_dir).parent().ok_or("the package is not in the workspace")?.join("target");
    // It is PROFILE/build/server-HASH/out in some folder, and PROFILE is `debug` for those of Cargo's that are for development.
    let profile = Path::new(&out_dir).ancestors().nth(3).and_then(Path::file_name).and_then(|name| name.to_str());
    let profile = profile.ok_or("OUT_DIR is not in the folder of a profile")?;
    std::fs::create_dir_all(&target)?;
    let (bundle, marker) = (target.join(format!("site.{profile}.bundle")), target.join("site.marker"));
    if !bundle.exists() {
        std::fs::write(&bundle, [])?;
    }
    if !marker.exists() {
        // Older than any run of this program, so that Cargo does not take it for changed.
        File::create(&marker)?.set_modified(SystemTime::UNIX_EPOCH)?;
    }
    println!("cargo::rustc-env=SITE_BUNDLE={}", bundle.display());
    println!("cargo::rerun-if-changed={}", marker.display());
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}
