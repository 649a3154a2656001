//! Paths of this machine in what visitors download. Panics name the file that they are in.

use std::path::PathBuf;

use crate::build::WASM_TARGET;

/// Settings of Cargo with which the paths of downloaded crates begin with the crate. Visitors then download a little less, and nobody learns
/// from it who has built the site.
pub(crate) fn shortened() -> Vec<String> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    // Where the folder cannot be read, the paths stay as they are.
    let registries = home.and_then(|home| std::fs::read_dir(home.join("registry/src")).ok()).into_iter().flatten();
    let mut folders: Vec<PathBuf> = registries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.sort();
    folders.iter().filter_map(|folder| setting(folder.to_str()?)).collect()
}

/// `None` for a path that cannot be written in a setting.
fn setting(folder: &str) -> Option<String> {
    let is_plain = !folder.contains(['\'', '\n']);
    is_plain.then(|| format!("target.{WASM_TARGET}.rustflags=['--remap-path-prefix={folder}/=']"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_a_list_of_flags() {
        let expected = "target.wasm32-unknown-unknown.rustflags=['--remap-path-prefix=/home/some one/.cargo/registry/src/index/=']";
        assert_eq!(setting("/home/some one/.cargo/registry/src/index").as_deref(), Some(expected));
        assert_eq!(setting("/home/o'brien"), None);
    }
}
