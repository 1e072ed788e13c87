//! The Markdown pages of a folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The pages' files by name: the path below the folder, without `.md`. A request names a page, and never a path.
pub(crate) struct Pages(BTreeMap<String, PathBuf>);

impl Pages {
    /// Lists the pages of a folder and of the folders in it.
    pub(crate) fn of(folder: &Path) -> io::Result<Self> {
        let mut pages = BTreeMap::new();
        list(folder, "", &mut pages)?;
        Ok(Self(pages))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn file(&self, name: &str) -> Option<&Path> {
        self.0.get(name).map(PathBuf::as_path)
    }
}

fn list(folder: &Path, above: &str, pages: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        let name = if above.is_empty() { name.to_string() } else { format!("{above}/{name}") };
        let kind = entry.file_type()?; // of a link itself, so that no circle of links is followed
        if kind.is_dir() {
            list(&path, &name, pages)?;
        } else if kind.is_file() && path.extension().is_some_and(|is| is == "md") {
            pages.insert(name, path);
        }
    }
    Ok(())
}
