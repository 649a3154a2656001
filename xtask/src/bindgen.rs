//! Runs `wasm-bindgen` on the compiled WebAssembly.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use wasm_bindgen_cli_support::Bindgen;

/// A WebAssembly module with the script that loads it.
pub(crate) struct Module {
    pub(crate) js: Vec<u8>,
    pub(crate) wasm: Vec<u8>,
}

/// Equivalent to the command `wasm-bindgen --target web`. `scratch` is a folder for temporary files.
pub(crate) fn bind(module: &Path, name: &str, scratch: &Path) -> Result<Module> {
    if scratch.exists() {
        std::fs::remove_dir_all(scratch).with_context(|| format!("cannot empty {}", scratch.display()))?;
    }
    Bindgen::new()
        .input_path(module)
        .out_name(name)
        .typescript(false)
        // The names of functions are removed later, with those that are never called.
        .remove_name_section(false)
        .web(true)
        .and_then(|bindgen| bindgen.generate(scratch))
        .map_err(|error| anyhow!("cannot bind {}: {error:#}", module.display()))?;
    let (js, wasm) = (format!("{name}.js"), format!("{name}_bg.wasm"));
    let read = |file: &str| {
        let path = scratch.join(file);
        std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let module = Module { js: read(&js)?, wasm: read(&wasm)? };
    // Snippets of crates would have to be served as separate files.
    let written: Vec<PathBuf> =
        std::fs::read_dir(scratch)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    let unknown = |path: &&PathBuf| path.file_name().is_none_or(|file| file != js.as_str() && file != wasm.as_str());
    if let Some(other) = written.iter().find(unknown) {
        bail!("the site needs {} as well, which `cargo xtask` does not know how to serve", other.display());
    }
    Ok(module)
}
