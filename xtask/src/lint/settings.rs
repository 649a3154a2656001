//! Checks that cargo-leptos and `cargo xtask` build the same site. Both read `[[workspace.metadata.leptos]]`. Loading the metadata rejects
//! keys that only cargo-leptos knows.

use crate::project::Project;

/// Returns the contradictions in the workspace's settings.
pub(super) fn check(project: &Project) -> Vec<String> {
    let leptos = &project.leptos;
    let mut problems = Vec::new();
    let mut require = |holds: bool, problem: String| {
        if !holds {
            problems.push(problem);
        }
    };

    // Settings that `cargo xtask` does not read.
    require(leptos.bin_features.is_empty(), "`cargo xtask` builds the server without `bin-features`".into());
    require(
        !leptos.lib_default_features,
        "`cargo xtask` builds for the browser with `lib-default-features = false`".into(),
    );
    require(leptos.hash_files, "`cargo xtask` puts hashes into names, so `hash-files` has to be true".into());
    require(leptos.style_bundle, "`cargo xtask` takes in imported styles, so `style-bundle` has to be true".into());
    let erase = "`disable-erase-components` has to be true: .cargo/config.toml erases components in every build";
    require(leptos.disable_erase_components, erase.into());
    require(
        leptos.site_pkg_dir == site::PKG,
        format!("`site-pkg-dir` is {:?}, and the crate `site` says {:?}", leptos.site_pkg_dir, site::PKG),
    );

    // Names in the metadata.
    let package = |name: &str| project.packages.iter().find(|package| package.name == name);
    let has_binary = package(&leptos.bin_package).is_some_and(|package| {
        package
            .targets
            .iter()
            .any(|target| target.name == leptos.bin_target && target.kind.iter().any(|kind| kind == "bin"))
    });
    require(has_binary, format!("the package `{}` has no binary `{}`", leptos.bin_package, leptos.bin_target));
    require(package(&leptos.lib_package).is_some(), format!("there is no package `{}`", leptos.lib_package));
    for (key, path) in
        [("style-file", &leptos.style_file), ("assets-dir", &leptos.assets_dir), ("end2end-dir", &leptos.end2end_dir)]
    {
        require(project.root.join(path).exists(), format!("`{key}` is {}, which does not exist", path.display()));
    }

    // Cargo also sets the variables of .cargo/config.toml for this program.
    let compiled_in = std::env::var("LEPTOS_OUTPUT_NAME").unwrap_or_default();
    require(
        compiled_in == leptos.output_name,
        format!(
            "LEPTOS_OUTPUT_NAME in .cargo/config.toml is {compiled_in:?}, and `output-name` {:?}",
            leptos.output_name
        ),
    );
    let in_server = format!("OUTPUT_NAME: &str = {:?};", leptos.output_name);
    let site_files = std::fs::read_to_string(project.root.join("server/src/site_files.rs")).unwrap_or_default();
    require(site_files.contains(&in_server), format!("server/src/site_files.rs does not say `{in_server}`"));

    for (name, version) in bindgen_versions(project) {
        require(version.starts_with('='), format!("{name} has to be pinned with `=`, unlike {version:?}"));
        require(
            bindgen_versions(project).all(|(_, other)| other == version),
            format!("wasm-bindgen and wasm-bindgen-cli-support have to be of one version, unlike {name} {version:?}"),
        );
    }
    problems
}

/// The version requirements for wasm-bindgen, and for crates that read its output.
fn bindgen_versions(project: &Project) -> impl Iterator<Item = (&str, &str)> {
    let dependencies = project.packages.iter().flat_map(|package| &package.dependencies);
    let dependencies =
        dependencies.filter(|dependency| ["wasm-bindgen", "wasm-bindgen-cli-support"].contains(&&*dependency.name));
    dependencies.map(|dependency| (&*dependency.name, &*dependency.req))
}
