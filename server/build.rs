//! Sets `SITE_BUNDLE` to the site of this profile, `target/site.PROFILE.bundle` in the workspace, and creates an empty bundle if there is none.
//!
//! The compiler tracks the bundle, so only the binary is rebuilt when it changes. This script runs again, and the whole package is rebuilt, only
//! if the marker is missing: `make clean` removes both.

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::time::SystemTime;

fn main() -> Result<(), Box<dyn Error>> {
    let (manifest_dir, out_dir) = (std::env::var("CARGO_MANIFEST_DIR")?, std::env::var("OUT_DIR")?);
    let target = Path::new(&manifest_dir).parent().ok_or("the package is not in the workspace")?.join("target");
    // OUT_DIR is `.../PROFILE/build/server-HASH/out`. PROFILE is `debug` for Cargo's development profiles.
    let profile = Path::new(&out_dir).ancestors().nth(3).and_then(Path::file_name).and_then(|name| name.to_str());
    let profile = profile.ok_or("OUT_DIR is not in the folder of a profile")?;
    std::fs::create_dir_all(&target)?;
    let (bundle, marker) = (target.join(format!("site.{profile}.bundle")), target.join("site.marker"));
    if !bundle.exists() {
        std::fs::write(&bundle, [])?;
    }
    if !marker.exists() {
        // Older than any run of this script, so that Cargo does not consider it changed.
        File::create(&marker)?.set_modified(SystemTime::UNIX_EPOCH)?;
    }
    println!("cargo::rustc-env=SITE_BUNDLE={}", bundle.display());
    println!("cargo::rerun-if-changed={}", marker.display());
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}
