//! A site in a folder: what `xtask` or cargo-leptos has built there.

use std::io::{Error, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use crate::names::{Names, PKG};

/// The file that names the hashes: a line such as `js: 1f0c59a2b3d4e5f6` for each extension. `xtask` writes it into the site folder,
/// cargo-leptos beside the server's binary.
pub const HASH_FILE: &str = "hash.txt";

/// A folder with a site.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
    /// The files without their hash and extension, for example `quilt`.
    output_name: String,
    /// Where the hashes may be named.
    hash_files: Vec<PathBuf>,
}

/// A file of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderFile {
    /// Changes with the content: it is made of the file's size and the time of its last change.
    pub tag: String,
    /// The content.
    pub content: Vec<u8>,
    /// The same, compressed with brotli, if that lies beside it.
    pub brotli: Option<Vec<u8>>,
}

impl Folder {
    /// A folder with files named after `output_name`. Their hashes are looked for in `hash_files` in this order, then in the folder.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, output_name: &str, hash_files: Vec<PathBuf>) -> Self {
        let root = root.into();
        let hash_files = hash_files.into_iter().chain([root.join(HASH_FILE)]).collect();
        Self { root, output_name: output_name.into(), hash_files }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The names of what every page loads, if all of it is there.
    #[must_use]
    pub fn names(&self) -> Option<Names> {
        let hashed = self.hash_files.iter().filter_map(|file| self.hashed_names(file));
        hashed.chain([self.plain_names()]).find(|names| self.has(names))
    }

    /// The names without a hash. What they stand for is found whether the files have a hash or not.
    #[must_use]
    pub fn plain_names(&self) -> Names {
        Names::from_extensions(|extension| format!("{PKG}/{}.{extension}", self.output_name))
    }

    /// Reads the file at a path, which has no slash in front. A path out of the folder leads to nothing.
    ///
    /// # Errors
    ///
    /// If there is a file, and it cannot be read.
    pub fn file(&self, path: &str) -> Result<Option<FolderFile>, Error> {
        if let Some(file) = self.exact_file(path)? {
            return Ok(Some(file));
        }
        // cargo-leptos writes files without a hash when it builds again, and with one at first.
        let (plain, Some(hashed)) = (self.plain_names(), self.names()) else { return Ok(None) };
        let hashed = plain.iter().zip(hashed.iter()).find(|(plain, _)| *plain == path);
        hashed.map_or(Ok(None), |(_, hashed)| self.exact_file(hashed))
    }

    fn exact_file(&self, path: &str) -> Result<Option<FolderFile>, Error> {
        let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || path.contains(['\\', '\0']) {
            return Ok(None);
        }
        let path = self.root.join(path);
        let Some((content, tag, changed)) = read(&path)? else { return Ok(None) };
        let mut compressed = path.into_os_string();
        compressed.push(".br");
        // One that is older was made of something else.
        let compressed = read(Path::new(&compressed))?.filter(|(.., then)| *then >= changed);
        Ok(Some(FolderFile { tag, content, brotli: compressed.map(|(content, ..)| content) }))
    }

    fn hashed_names(&self, file: &Path) -> Option<Names> {
        let lines = std::fs::read_to_string(file).ok()?;
        let hash = |extension: &str| {
            let hashes = lines.lines().filter_map(|line| line.split_once(':'));
            hashes.map(|(name, hash)| (name.trim(), hash.trim())).find(|(name, _)| *name == extension)
        };
        let name = |extension: &str| {
            let (_, hash) = hash(extension)?;
            Some(format!("{PKG}/{}.{hash}.{extension}", self.output_name))
        };
        Some(Names { js: name("js")?, wasm: name("wasm")?, css: name("css")? })
    }

    fn has(&self, names: &Names) -> bool {
        names.iter().all(|name| self.root.join(name).is_file())
    }
}

/// The content of a file, its tag, and when it was changed; nothing where there is no file.
fn read(path: &Path) -> Result<Option<(Vec<u8>, String, SystemTime)>, Error> {
    let is_absent = |error: &Error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata,
        Ok(_) => return Ok(None),
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let changed = metadata.modified()?;
    let age = changed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let tag = format!("{:x}-{:x}", age.as_nanos(), metadata.len());
    Ok(Some((std::fs::read(path)?, tag, changed)))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, content) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, content).expect("a file");
        }
    }

    const HASHED: [(&str, &str); 3] = [
        ("pkg/quilt.aaaaaaa1.js", "script"),
        ("pkg/quilt.aaaaaaa2.wasm", "module"),
        ("pkg/quilt.aaaaaaa3.css", "style"),
    ];

    const HASHES: &str = "js: aaaaaaa1\nwasm: aaaaaaa2\ncss: aaaaaaa3\n";

    fn content(folder: &Folder, path: &str) -> Option<String> {
        let file = folder.file(path).expect("no error")?;
        Some(String::from_utf8(file.content).expect("text"))
    }

    #[test]
    fn hashes_come_from_the_folder_or_from_beside_the_binary() {
        let (site, elsewhere) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
        write(site.path(), &HASHED);
        let beside = elsewhere.path().join(HASH_FILE);
        let folder = Folder::new(site.path(), "quilt", vec![beside.clone()]);
        assert_eq!(folder.names(), None);
        write(elsewhere.path(), &[(HASH_FILE, HASHES)]);
        let names = folder.names().expect("names");
        assert_eq!(names.iter().collect::<Vec<_>>(), HASHED.map(|(name, _)| name));
        std::fs::rename(beside, site.path().join(HASH_FILE)).expect("it is there");
        assert_eq!(folder.names(), Some(names));
    }

    #[test]
    fn hashes_of_files_that_are_gone_do_not_count() {
        let (site, elsewhere) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
        write(site.path(), &HASHED);
        write(site.path(), &[(HASH_FILE, HASHES)]);
        write(elsewhere.path(), &[(HASH_FILE, "js: old\nwasm: old\ncss: old\n")]);
        let folder = Folder::new(site.path(), "quilt", vec![elsewhere.path().join(HASH_FILE)]);
        assert_eq!(folder.names().expect("names").js, "pkg/quilt.aaaaaaa1.js");
    }

    #[test]
    fn a_plain_name_leads_to_what_was_built_last() {
        let site = TempDir::new().expect("a folder");
        write(site.path(), &HASHED);
        write(site.path(), &[(HASH_FILE, HASHES)]);
        let folder = Folder::new(site.path(), "quilt", Vec::new());
        assert_eq!(content(&folder, "pkg/quilt.css").as_deref(), Some("style"));
        write(site.path(), &[("pkg/quilt.css", "new style")]);
        assert_eq!(content(&folder, "pkg/quilt.css").as_deref(), Some("new style"));
        assert_eq!(content(&folder, "pkg/quilt.js").as_deref(), Some("script"));
        assert_eq!(content(&folder, "pkg/other.js"), None);
    }

    #[test]
    fn files_without_hashes_are_found() {
        let site = TempDir::new().expect("a folder");
        write(site.path(), &[("pkg/quilt.js", "script"), ("pkg/quilt.wasm", "module"), ("pkg/quilt.css", "style")]);
        let folder = Folder::new(site.path(), "quilt", Vec::new());
        assert_eq!(folder.names(), Some(folder.plain_names()));
    }

    #[test]
    fn no_path_leads_out_of_the_folder() {
        let outside = TempDir::new().expect("a folder");
        let site = outside.path().join("site");
        write(outside.path(), &[("secret.txt", "secret"), ("site/favicon.svg", "icon")]);
        let folder = Folder::new(&site, "quilt", Vec::new());
        assert_eq!(content(&folder, "favicon.svg").as_deref(), Some("icon"));
        let absolute = outside.path().join("secret.txt");
        let absolute = absolute.to_str().expect("text");
        for path in ["../secret.txt", "pkg/../../secret.txt", absolute, "..\\secret.txt", "favicon.svg\0", "", "."] {
            assert_eq!(content(&folder, path), None, "{path}");
        }
    }

    #[test]
    fn a_compressed_file_counts_unless_it_is_older() {
        let site = TempDir::new().expect("a folder");
        write(site.path(), &[("pkg/quilt.js", "script"), ("pkg/quilt.js.br", "compressed")]);
        let folder = Folder::new(site.path(), "quilt", Vec::new());
        let file = folder.file("pkg/quilt.js").expect("no error").expect("a file");
        assert_eq!(file.brotli.as_deref(), Some(b"compressed".as_slice()));
        let later = SystemTime::now() + std::time::Duration::from_secs(60);
        let script = std::fs::File::options().append(true).open(site.path().join("pkg/quilt.js")).expect("a file");
        script.set_modified(later).expect("a time");
        let changed = folder.file("pkg/quilt.js").expect("no error").expect("a file");
        assert_eq!(changed.brotli, None);
        assert_ne!(changed.tag, file.tag);
    }
}
