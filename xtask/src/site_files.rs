//! The files of the site: hashed names, compression, and output as a folder and a bundle.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use site::{HASH_FILE, Names, NewFile, PKG};

use crate::bindgen::Module;

/// The number of hexadecimal digits of the content hash in file names.
const HASH_DIGITS: usize = 16;

/// The window size as a power of two: larger than all files here.
const BROTLI_WINDOW: i32 = 24;

/// The compression level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// Fast, for development and tests.
    Fast,
    /// The maximum, which takes ten seconds per megabyte.
    Best,
}

impl Compression {
    fn brotli_quality(self) -> i32 {
        match self {
            Self::Fast => 5,
            Self::Best => 11,
        }
    }
}

/// The files of a site.
pub(crate) struct SiteFiles {
    pub(crate) names: Names,
    pub(crate) files: Vec<NewFile>,
}

impl SiteFiles {
    /// Names and compresses the built files, and adds the files of the assets folder.
    pub(crate) fn new(
        output_name: &str,
        module: Module,
        style: String,
        assets: &Path,
        compression: Compression,
    ) -> Result<Self> {
        let mut files = Vec::new();
        let mut add = |extension: &str, content: Vec<u8>| {
            let hash = hash(&content);
            let path = format!("{PKG}/{output_name}.{hash}.{extension}");
            files.push(file(path.clone(), hash, content, compression)?);
            anyhow::Ok(path)
        };
        let names =
            Names { js: add("js", module.js)?, wasm: add("wasm", module.wasm)?, css: add("css", style.into_bytes())? };
        for path in files_in(assets)? {
            let content = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let name = path.strip_prefix(assets).context("a file of the folder is in it")?;
            let name = name.to_str().context("names of assets are text")?.replace('\\', "/");
            files.push(file(name, hash(&content), content, compression)?);
        }
        Ok(Self { names, files })
    }

    /// The uncompressed and compressed size of a file.
    pub(crate) fn sizes(&self, path: &str) -> Option<(usize, usize)> {
        let file = self.files.iter().find(|file| file.path == path)?;
        Some((file.content.len(), file.brotli.as_ref().map_or(file.content.len(), Vec::len)))
    }

    /// Replaces a folder with the files, and writes their hashes in the format of cargo-leptos.
    pub(crate) fn write_folder(&self, folder: &Path) -> Result<()> {
        if folder.exists() {
            std::fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        for file in &self.files {
            let path = folder.join(&file.path);
            write(&path, &file.content)?;
            if let Some(brotli) = &file.brotli {
                write(&folder.join(format!("{}.br", file.path)), brotli)?;
            }
        }
        let mut hashes = String::new();
        for name in self.names.iter() {
            let mut parts = name.rsplit('.');
            let (Some(extension), Some(hash)) = (parts.next(), parts.next()) else { bail!("{name} has no hash") };
            hashes.push_str(&format!("{extension}: {hash}\n"));
        }
        write(&folder.join(HASH_FILE), hashes.as_bytes())
    }

    /// Writes the files into one bundle, unless it is unchanged. An unchanged timestamp avoids linking the binary again.
    pub(crate) fn write_bundle(&self, path: &Path) -> Result<()> {
        let bundle = site::bundle(&self.names, &self.files)?;
        if std::fs::read(path).is_ok_and(|before| before == bundle) {
            return Ok(());
        }
        write(path, &bundle)
    }
}

fn file(path: String, hash: String, content: Vec<u8>, compression: Compression) -> Result<NewFile> {
    let compressed = compress(&content, compression).with_context(|| format!("cannot compress {path}"))?;
    let brotli = Some(compressed).filter(|compressed| compressed.len() < content.len());
    Ok(NewFile { path, hash, content, brotli })
}

fn hash(content: &[u8]) -> String {
    let hash = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    hash.chars().take(HASH_DIGITS).collect()
}

fn compress(content: &[u8], compression: Compression) -> Result<Vec<u8>> {
    let params = brotli::enc::BrotliEncoderParams {
        quality: compression.brotli_quality(),
        lgwin: BROTLI_WINDOW,
        size_hint: content.len(),
        ..Default::default()
    };
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut &*content, &mut compressed, &params)?;
    Ok(compressed)
}

/// The files below a folder, sorted by name.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_in(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    std::fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use site::{Bundle, Folder, has_hash};
    use tempfile::TempDir;

    use super::*;

    fn files(style: &str) -> SiteFiles {
        let assets = TempDir::new().expect("a folder");
        std::fs::write(assets.path().join("favicon.svg"), "<svg/>").expect("a file");
        std::fs::create_dir(assets.path().join("fonts")).expect("a folder");
        std::fs::write(assets.path().join("fonts/a.woff2"), "font").expect("a file");
        let module = Module { js: "let a = 1;\n".repeat(100).into_bytes(), wasm: b"\0asm".to_vec() };
        SiteFiles::new("quilt", module, style.into(), assets.path(), Compression::Best).expect("a site")
    }

    #[test]
    fn a_folder_and_a_bundle_hold_the_same() {
        let files = files("a {}");
        let folder = TempDir::new().expect("a folder");
        std::fs::create_dir(folder.path().join("site")).expect("a folder");
        std::fs::write(folder.path().join("site/old.js"), "").expect("a file");
        files.write_folder(&folder.path().join("site")).expect("written");
        files.write_bundle(&folder.path().join("bundle")).expect("written");

        let bundle = std::fs::read(folder.path().join("bundle")).expect("a file");
        let bundle = Bundle::read(&bundle).expect("it is whole").expect("it has a site");
        let folder = Folder::new(folder.path().join("site"), "quilt", Vec::new());
        assert_eq!(folder.names().as_ref(), Some(bundle.names()));
        assert!(bundle.names().iter().all(has_hash));
        assert!(bundle.paths().any(|path| path == "fonts/a.woff2"));
        for path in bundle.paths() {
            let (ours, theirs) =
                (bundle.file(path).expect("a file"), folder.file(path).expect("no error").expect("a file"));
            assert_eq!((ours.content, ours.brotli), (theirs.content.as_slice(), theirs.brotli.as_deref()), "{path}");
        }
        assert_eq!(folder.file("old.js").expect("no error"), None);
    }

    #[test]
    fn another_style_has_another_name() {
        assert_ne!(files("a {}").names.css, files("b {}").names.css);
        assert_eq!(files("a {}").names, files("a {}").names);
    }

    #[test]
    fn only_what_gets_smaller_is_compressed() {
        let files = files("a {}");
        let (raw, compressed) = files.sizes(&files.names.js).expect("a file");
        assert!(compressed * 10 < raw, "{compressed} of {raw}");
        let script = files.files.iter().find(|file| file.path == files.names.js).expect("a file");
        let mut plain = Vec::new();
        brotli::BrotliDecompress(&mut &**script.brotli.as_ref().expect("it is compressed"), &mut plain)
            .expect("brotli");
        assert_eq!(plain, script.content);
        assert_eq!(files.files.iter().find(|file| file.path == "favicon.svg").expect("a file").brotli, None);
    }

    #[test]
    fn a_bundle_that_is_the_same_is_not_written_again() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("bundle");
        files("a {}").write_bundle(&path).expect("written");
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        std::fs::File::options().append(true).open(&path).expect("a file").set_modified(long_ago).expect("a time");
        let changed = || std::fs::metadata(&path).expect("a file").modified().expect("a time");
        files("a {}").write_bundle(&path).expect("written");
        assert_eq!(changed(), long_ago);
        files("b {}").write_bundle(&path).expect("written");
        assert_ne!(changed(), long_ago);
    }
}
