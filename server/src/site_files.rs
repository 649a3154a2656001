//! The files that the browser loads: those that the binary was linked with, or those in a folder.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytes::Bytes;
use site::{Bundle, BundleError, Folder, HASH_FILE, Names};

/// What the files are called, up to their hash and extension. It is the `output-name` of cargo-leptos.
pub(crate) const OUTPUT_NAME: &str = "quilt";

/// Where `cargo xtask site` and cargo-leptos build the site, in the folder of the project.
const DEFAULT_SITE_ROOT: &str = "target/site";

/// The files that the binary was linked with.
static EMBEDDED: OnceLock<Bundle<'static>> = OnceLock::new();

/// Takes the files that the binary was linked with. Nothing at all stands for no site.
pub(crate) fn embed(bundle: &'static [u8]) -> Result<(), BundleError> {
    if let Some(bundle) = Bundle::read(bundle)? {
        let _ = EMBEDDED.set(bundle);
    }
    Ok(())
}

/// Where the files come from.
#[derive(Debug, Clone)]
pub(crate) enum Site {
    /// The binary has them.
    Embedded(&'static Bundle<'static>),
    /// They are read from a folder each time. Pages link to the names that it had at the start.
    Folder(Folder),
    /// There are none.
    Missing,
}

/// A file, ready to be sent.
pub(crate) struct File {
    pub(crate) tag: String,
    pub(crate) content: Bytes,
    pub(crate) brotli: Option<Bytes>,
}

impl Site {
    /// The site in the folder that was asked for; else the one that cargo-leptos has built for this process; else the one in the binary.
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
        // cargo-leptos names the hashes beside the binary.
        let hash_file = std::env::var_os("LEPTOS_HASH_FILE_NAME").unwrap_or_else(|| HASH_FILE.into());
        let program = std::env::current_exe().ok();
        let beside = program.as_deref().and_then(Path::parent).map(|folder| folder.join(hash_file));
        Self::Folder(Folder::new(folder, OUTPUT_NAME, beside.into_iter().collect()))
    }

    /// What pages load, if there is all of it. Logs where it is not.
    pub(crate) fn names(&self) -> Option<Names> {
        match self {
            Self::Embedded(bundle) => Some(bundle.names().clone()),
            // The page then stays the same while its files are built again, and cargo-leptos finds the style to replace.
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

    /// The folder of the site, for Leptos.
    pub(crate) fn root(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder.root(),
            Self::Embedded(_) | Self::Missing => Path::new(DEFAULT_SITE_ROOT),
        }
    }

    /// The file at a path, if there is one.
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

/// Whether cargo-leptos builds the site again at every change.
pub(crate) fn is_watched() -> bool {
    std::env::var_os("LEPTOS_WATCH").is_some()
}
