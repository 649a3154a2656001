//! The static files of the site, which are embedded in the binary or read from a folder.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytes::Bytes;
use site::{Bundle, BundleError, Folder, HASH_FILE, Names};

/// The names of the files without hash and extension. The same as `output-name` of cargo-leptos.
pub(crate) const OUTPUT_NAME: &str = "quilt";

/// The output folder of `cargo xtask site` and cargo-leptos, relative to the workspace.
const DEFAULT_SITE_ROOT: &str = "target/site";

/// The site in the binary, if any.
static EMBEDDED: OnceLock<Bundle<'static>> = OnceLock::new();

/// Sets the site in the binary. An empty bundle means that there is none.
pub(crate) fn embed(bundle: &'static [u8]) -> Result<(), BundleError> {
    if let Some(bundle) = Bundle::read(bundle)? {
        let _ = EMBEDDED.set(bundle);
    }
    Ok(())
}

/// The source of the static files.
#[derive(Debug, Clone)]
pub(crate) enum Site {
    /// Embedded in the binary.
    Embedded(&'static Bundle<'static>),
    /// Read from a folder for each request. Pages link to the names that the files had at startup.
    Folder(Folder),
    /// No site.
    Missing,
}

/// The content of a file.
pub(crate) struct File {
    /// The value for the ETag, without quotes.
    pub(crate) tag: String,
    pub(crate) content: Bytes,
    /// The content compressed with brotli, if there is such a file.
    pub(crate) brotli: Option<Bytes>,
}

impl Site {
    /// Returns the site in the given folder, or in the folder in the environment (set by cargo-leptos), or the embedded one.
    pub(crate) fn find(folder: Option<PathBuf>) -> Self {
        if let Some(folder) = folder.or_else(|| std::env::var_os("LEPTOS_SITE_ROOT").map(PathBuf::from)) {
            return Self::folder(&folder);
        }
        match EMBEDDED.get() {
            Some(bundle) => Self::Embedded(bundle),
            None => Self::Missing,
        }
    }

    fn folder(folder: &Path) -> Self {
        // cargo-leptos writes the file with the hashes to the folder of the binary.
        let hash_file = std::env::var_os("LEPTOS_HASH_FILE_NAME").unwrap_or_else(|| HASH_FILE.into());
        let program = std::env::current_exe().ok();
        let beside = program.as_deref().and_then(Path::parent).map(|folder| folder.join(hash_file));
        Self::Folder(Folder::new(folder, OUTPUT_NAME, beside.into_iter().collect()))
    }

    /// Returns the names of the files that pages load. Logs a warning and returns `None` if any is missing.
    pub(crate) fn names(&self) -> Option<Names> {
        match self {
            Self::Embedded(bundle) => Some(bundle.names().clone()),
            // Names without hashes remain valid after a rebuild, and cargo-leptos can replace the style sheet by name.
            Self::Folder(folder) if is_watched() => Some(folder.plain_names()),
            Self::Folder(folder) => {
                let names = folder.names();
                if names.is_none() {
                    tracing::warn!(
                        site = %folder.root().display(),
                        "there is no site in this folder, so pages have no style and no live updates; 'make serve' builds it"
                    );
                }
                names
            }
            Self::Missing => {
                tracing::warn!(
                    "this program was built without the site, so pages have no style and no live updates; 'make serve' or 'make build' \
                     builds both, and --site FOLDER takes a site from a folder"
                );
                None
            }
        }
    }

    /// The folder of the site for [`leptos::config::LeptosOptions`].
    pub(crate) fn root(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder.root(),
            Self::Embedded(_) | Self::Missing => Path::new(DEFAULT_SITE_ROOT),
        }
    }

    /// Reads the file at a path; `None` if there is none.
    pub(crate) async fn file(&self, path: &str) -> Result<Option<File>, std::io::Error> {
        match self {
            Self::Embedded(bundle) => Ok(bundle.file(path).map(|file| File {
                tag: file.hash.to_owned(),
                content: Bytes::from_static(file.content),
                brotli: file.brotli.map(Bytes::from_static),
            })),
            Self::Folder(folder) => {
                let (folder, path) = (folder.clone(), path.to_owned());
                let file = tokio::task::spawn_blocking(move || folder.file(&path)).await??;
                Ok(file.map(|file| File {
                    tag: file.tag,
                    content: file.content.into(),
                    brotli: file.brotli.map(Bytes::from),
                }))
            }
            Self::Missing => Ok(None),
        }
    }
}

/// Whether `cargo leptos watch` runs this process and rebuilds the site on changes.
pub(crate) fn is_watched() -> bool {
    std::env::var_os("LEPTOS_WATCH").is_some()
}
