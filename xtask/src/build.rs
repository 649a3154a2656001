//! Builds the server library, the WebAssembly, the site, and the binary that embeds the site, in this order.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::output::{report, say};
use crate::paths;
use crate::project::{Project, cargo, host_target};
use crate::site_files::{Compression, SiteFiles};
use crate::{bindgen, compact, style};

/// The target of the browser.
pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// The maximum size of the compressed WebAssembly in a release build, in bytes. The goal is 285,000; this limit prevents regressions.
const MAX_WASM: usize = 300_000;

/// A build profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Fast builds, for `make serve` and `make test`.
    Serve,
    /// Production builds.
    Release,
}

impl Profile {
    /// The profile of native code, which is also the name of its output folder.
    fn host(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Release => "release",
        }
    }

    /// Whether to pass the host target explicitly. Cargo then compiles procedural macros without the flags of .cargo/config.toml, as for
    /// the browser, so that builds with equal profiles share them.
    fn names_host(self) -> bool {
        self == Self::Serve
    }

    fn compression(self) -> Compression {
        match self {
            Self::Serve => Compression::Fast,
            Self::Release => Compression::Best,
        }
    }

    /// The profile of WebAssembly.
    fn wasm(self, project: &Project) -> &str {
        match self {
            Self::Serve => "serve",
            Self::Release => &project.leptos.lib_profile_release,
        }
    }
}

/// Builds the site and the binary that embeds it, and prints their sizes.
pub(crate) fn build(project: &Project, profile: Profile) -> Result<()> {
    let (binary, files) = build_both(project, profile)?;
    let size = std::fs::metadata(&binary).with_context(|| format!("cannot find {}", binary.display()))?.len();
    let (raw, compressed) = files.sizes(&files.names.wasm).context("the site has no WebAssembly")?;
    report(&format!("{}: {:.1} MB, with its site", project.shown(&binary), size as f64 / 1e6));
    report(&format!("{}: {:.1} kB, {:.1} kB with brotli", files.names.wasm, raw as f64 / 1e3, compressed as f64 / 1e3));
    if profile == Profile::Release && compressed > MAX_WASM {
        let hint =
            match ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"].into_iter().find(|name| std::env::var_os(name).is_some()) {
                Some(name) => format!(
                    ". {name} is set, which replaces the flags in .cargo/config.toml: it needs `--cfg erase_components`"
                ),
                None => String::new(),
            };
        bail!(
            "the WebAssembly has {compressed} bytes with brotli; {MAX_WASM} are the most that visitors shall download{hint}"
        );
    }
    Ok(())
}

/// Builds with the profile `serve`, and runs the server.
pub(crate) fn serve(project: &Project, options: &[&str]) -> Result<()> {
    let (binary, _) = build_both(project, Profile::Serve)?;
    run(Command::new(binary).arg("serve").args(options))
}

/// Replaces this process by the program, so that it receives signals directly.
#[cfg(unix)]
fn run(command: &mut Command) -> Result<()> {
    Err(std::os::unix::process::CommandExt::exec(command)).context("cannot start the server")
}

#[cfg(not(unix))]
fn run(command: &mut Command) -> Result<()> {
    let status = command.status().context("cannot start the server")?;
    if status.success() { Ok(()) } else { bail!("the server ended with {status}") }
}

fn build_both(project: &Project, profile: Profile) -> Result<(PathBuf, SiteFiles)> {
    // The library does not depend on the site. If it is compiled first, a new site only requires linking the binary.
    say("building the server");
    build_server(project, profile, &["--lib"])?;
    let files = build_site(project, profile)?;
    say("linking the binary with its site");
    build_server(project, profile, &["--bin", &project.leptos.bin_target])?;
    let name = format!("{}{}", project.leptos.bin_exe_name, std::env::consts::EXE_SUFFIX);
    let binary = project.target_dir.join(profile.host()).join(&name);
    if profile.names_host() {
        let built = project.target_dir.join(host_target()?).join(profile.host()).join(&name);
        replace(&built, &binary)?;
    }
    Ok((binary, files))
}

/// Replaces a file atomically. The old file may be a running program.
fn replace(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().context("there is no folder for the binary")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let beside = to.with_extension("new");
    if let Err(error) = std::fs::remove_file(&beside)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error).with_context(|| format!("cannot remove {}", beside.display()));
    }
    // Some file systems do not support hard links.
    if std::fs::hard_link(from, &beside).is_err() {
        std::fs::copy(from, &beside).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    // If both are links to the same file, renaming does nothing and the new link remains.
    std::fs::rename(&beside, to).with_context(|| format!("cannot replace {}", to.display()))?;
    let _ = std::fs::remove_file(&beside);
    Ok(())
}

fn build_server(project: &Project, profile: Profile, target: &[&str]) -> Result<()> {
    let mut parameters = vec!["build", "--profile", profile.host(), "--package", &project.leptos.bin_package];
    if profile.names_host() {
        parameters.extend(["--target", "host-tuple"]);
        // The same packages as in scripts/xtask.sh. Other packages may enable other features of shared dependencies, which would then be
        // compiled again.
        parameters.extend(["--package", "xtask"]);
    }
    parameters.extend(target);
    cargo(&parameters)
}

/// Builds the site folder, and the bundle that the binary embeds.
pub(crate) fn build_site(project: &Project, profile: Profile) -> Result<SiteFiles> {
    let leptos = &project.leptos;
    let wasm_profile = profile.wasm(project);
    say("building the WebAssembly (a minute or two the first time)");
    let shortened = if profile == Profile::Release { paths::shortened(WASM_TARGET) } else { Vec::new() };
    let mut parameters = vec!["build", "--package", &leptos.lib_package, "--lib"];
    parameters.extend(["--target", WASM_TARGET, "--profile", wasm_profile]);
    parameters.extend(shortened.iter().flat_map(|setting| ["--config", setting]));
    cargo(&parameters)?;
    let built = project.target_dir.join(WASM_TARGET).join(wasm_profile);
    let module = built.join(format!("{}.wasm", leptos.lib_package.replace('-', "_")));
    let module = bindgen::bind(&module, &leptos.output_name, &built.join("bindgen"))?;
    let mut module = compact::without_unused(module)?;
    if profile == Profile::Release {
        module = compact::compact(&module)?;
    }
    let style = style::bundle(&project.root.join(&leptos.style_file))?;
    let assets = project.root.join(&leptos.assets_dir);
    let files = SiteFiles::new(&leptos.output_name, module, style, &assets, profile.compression())?;
    files.write_folder(&project.site_dir())?;
    files.write_bundle(&project.bundle(profile.host()))?;
    Ok(files)
}
