//! The metadata of the workspace, from Cargo.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The workspace.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) root: PathBuf,
    pub(crate) target_dir: PathBuf,
    pub(crate) packages: Vec<Package>,
    pub(crate) leptos: Leptos,
}

/// A member of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) targets: Vec<Target>,
    pub(crate) dependencies: Vec<Dependency>,
}

/// A library, binary or test.
#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
    pub(crate) src_path: PathBuf,
}

/// A dependency of a package.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// The version requirement.
    pub(crate) req: String,
}

/// `[[workspace.metadata.leptos]]`, which cargo-leptos also reads. Unknown keys are rejected, because they would make its site differ from
/// ours.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Leptos {
    /// Unused, because there is only one project.
    #[serde(rename = "name")]
    _name: String,
    pub(crate) output_name: String,
    pub(crate) bin_package: String,
    pub(crate) bin_target: String,
    pub(crate) bin_exe_name: String,
    pub(crate) bin_features: Vec<String>,
    pub(crate) lib_package: String,
    pub(crate) lib_profile_release: String,
    pub(crate) lib_default_features: bool,
    pub(crate) site_root: PathBuf,
    pub(crate) site_pkg_dir: String,
    /// The address at which cargo-leptos serves.
    #[serde(rename = "site-addr")]
    _site_addr: String,
    pub(crate) style_file: PathBuf,
    pub(crate) style_bundle: bool,
    pub(crate) assets_dir: PathBuf,
    pub(crate) hash_files: bool,
    pub(crate) disable_erase_components: bool,
    /// The command with which cargo-leptos runs the browser tests.
    #[serde(rename = "end2end-cmd")]
    _end2end_cmd: String,
    pub(crate) end2end_dir: PathBuf,
}

impl Project {
    /// Loads the metadata with `cargo metadata`.
    pub(crate) fn load() -> Result<Self> {
        #[derive(Deserialize)]
        struct Metadata {
            workspace_root: PathBuf,
            target_directory: PathBuf,
            packages: Vec<Package>,
            metadata: Extra,
        }
        #[derive(Deserialize)]
        struct Extra {
            leptos: Vec<serde_json::Value>,
        }
        let metadata: Metadata = cargo_json(&["metadata", "--no-deps", "--format-version", "1"])?;
        let [leptos] = <[_; 1]>::try_from(metadata.metadata.leptos)
            .map_err(|projects| anyhow!("there is one [[workspace.metadata.leptos]], not {}", projects.len()))?;
        let leptos = Leptos::deserialize(leptos)
            .context("[[workspace.metadata.leptos]] in Cargo.toml, which cargo-leptos and `cargo xtask` both read")?;
        Ok(Self {
            root: metadata.workspace_root,
            target_dir: metadata.target_directory,
            packages: metadata.packages,
            leptos,
        })
    }

    /// The output folder of the site.
    pub(crate) fn site_dir(&self) -> PathBuf {
        self.root.join(&self.leptos.site_root)
    }

    /// The bundle of the site that the binary of a profile embeds. `server/build.rs` uses the same path.
    pub(crate) fn bundle(&self, profile: &str) -> PathBuf {
        self.root.join(format!("target/site.{profile}.bundle"))
    }

    /// Formats a path relative to the workspace, if it is inside.
    pub(crate) fn shown<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

/// The target triple of this machine, such as `x86_64-unknown-linux-gnu`, which Cargo calls `host-tuple`.
pub(crate) fn host_target() -> Result<String> {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output =
        Command::new(compiler).args(["--print", "host-tuple"]).output().context("cannot start the Rust compiler")?;
    if !output.status.success() {
        bail!("`rustc --print host-tuple` has failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout).context("`rustc --print host-tuple` writes something else")?.trim().to_owned())
}

/// Runs Cargo in the workspace in which this program was started.
pub(crate) fn cargo(parameters: &[&str]) -> Result<()> {
    let status = cargo_command().args(parameters).status().context("cannot start cargo")?;
    if !status.success() {
        bail!("`cargo {}` has failed", parameters.join(" "));
    }
    Ok(())
}

fn cargo_json<T: DeserializeOwned>(parameters: &[&str]) -> Result<T> {
    let output = cargo_command().args(parameters).output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("`cargo {}` has failed: {}", parameters.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("`cargo {}` writes something else", parameters.join(" ")))
}

/// The Cargo that has built this program, without the environment variables that it set for this package, because they would cause
/// rebuilds.
fn cargo_command() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let is_ours =
            name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        if is_ours {
            command.env_remove(name);
        }
    }
    command
}
