//! Removes paths of this machine from the files that browsers download. Panic messages contain the paths of source files.

use std::path::PathBuf;

/// Cargo settings for a target that shorten the paths of dependencies to start with the crate. This makes the download smaller and hides
/// the user who built it.
pub(crate) fn shortened(target: &str) -> Vec<String> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    // If the folder cannot be read, paths are not shortened.
    let registries = home.and_then(|home| std::fs::read_dir(home.join("registry/src")).ok()).into_iter().flatten();
    let mut folders: Vec<PathBuf> = registries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.sort();
    folders.iter().filter_map(|folder| setting(target, folder.to_str()?)).collect()
}

/// Returns `None` for a path that cannot be quoted in a setting.
fn setting(target: &str, folder: &str) -> Option<String> {
    let is_plain = !folder.contains(['\'', '\n']);
    is_plain.then(|| format!("target.{target}.rustflags=['--remap-path-prefix={folder}/=']"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_a_list_of_flags() {
        let expected = "target.wasm32-unknown-unknown.rustflags=['--remap-path-prefix=/home/some one/.cargo/registry/src/index/=']";
        assert_eq!(
            setting("wasm32-unknown-unknown", "/home/some one/.cargo/registry/src/index").as_deref(),
            Some(expected)
        );
        assert_eq!(setting("wasm32-unknown-unknown", "/home/o'brien"), None);
    }
}
