//! The site's pages: every Markdown and Rust file below one directory.
//!
//! The table made here is the only way from an address to a file. A request names an entry of it or nothing, so
//! no address, however it is spelled, reaches a file that the walk did not find.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use thiserror::Error;

/// More would make the navigation, and with it every page, too long to be of use.
const MOST_PAGES: usize = 5_000;

/// The table of pages. The list is made when the server starts; their text is read for each request.
pub(crate) struct Site {
    pub(crate) title: String,
    pub(crate) root: PathBuf,
    /// By directory, the top one first, and a readme before its neighbours.
    pub(crate) pages: Vec<Page>,
    by_path: HashMap<String, usize>,
}

pub(crate) struct Page {
    /// Relative to the site's root, with `/` between its parts on every platform.
    pub(crate) path: String,
    pub(crate) href: String,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Markdown,
    Rust,
}

#[derive(Debug, Error)]
pub(crate) enum SiteError {
    #[error("cannot read the directory {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    #[error("there is no Markdown or Rust file below {}", .0.display())]
    Empty(PathBuf),
    #[error("there are more than {MOST_PAGES} pages below {}; name a directory further down", .0.display())]
    TooLarge(PathBuf),
}

impl Site {
    pub(crate) fn open(directory: &Path) -> Result<Site, SiteError> {
        let unreadable = |source| SiteError::Unreadable { path: directory.to_owned(), source };
        // Canonical, so that a file read later can be compared with it.
        let root = fs::canonicalize(directory).map_err(unreadable)?;
        if !root.is_dir() {
            return Err(SiteError::NotADirectory(directory.to_owned()));
        }
        let mut pages = find_pages(&root)?;
        if pages.is_empty() {
            return Err(SiteError::Empty(directory.to_owned()));
        }
        pages.sort_by(|a, b| a.order().cmp(&b.order()));
        let by_path = pages.iter().enumerate().map(|(at, page)| (page.path.clone(), at)).collect();
        let title = root.file_name().map_or_else(|| "files".into(), |name| name.to_string_lossy().into_owned());
        Ok(Site { title, root, pages, by_path })
    }

    /// The index in `pages` of the file with this path.
    pub(crate) fn find(&self, path: &str) -> Option<usize> {
        self.by_path.get(path).copied()
    }
}

impl Page {
    fn new(path: String, kind: Kind) -> Page {
        Page { href: href(&path), path, kind }
    }

    pub(crate) fn directory(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(directory, _)| directory)
    }

    pub(crate) fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(&self.path, |(_, name)| name)
    }

    fn order(&self) -> (&str, bool, &str) {
        (self.directory(), !self.name().eq_ignore_ascii_case("readme.md"), self.name())
    }
}

impl Kind {
    fn of(name: &str) -> Option<Kind> {
        match name.rsplit_once('.')?.1 {
            "md" | "markdown" => Some(Kind::Markdown),
            "rs" => Some(Kind::Rust),
            _ => None,
        }
    }
}

fn find_pages(root: &Path) -> Result<Vec<Page>, SiteError> {
    let mut pages = Vec::new();
    let mut todo = vec![(root.to_owned(), String::new())];
    while let Some((directory, prefix)) = todo.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(source) if prefix.is_empty() => return Err(SiteError::Unreadable { path: directory, source }),
            Err(error) => {
                eprintln!("component_server: leaving out {}: {error}", directory.display());
                continue;
            }
        };
        for entry in entries.flatten() {
            // A name that is not Unicode has no address.
            let (Ok(name), Ok(kind)) = (entry.file_name().into_string(), entry.file_type()) else { continue };
            if name.starts_with('.') {
                continue;
            }
            // This type is the entry's own: a symbolic link is neither a directory nor a file, so none is followed.
            if kind.is_dir() && name != "target" {
                todo.push((entry.path(), format!("{prefix}{name}/")));
            } else if kind.is_file()
                && let Some(kind) = Kind::of(&name)
            {
                if pages.len() == MOST_PAGES {
                    return Err(SiteError::TooLarge(root.to_owned()));
                }
                pages.push(Page::new(format!("{prefix}{name}"), kind));
            }
        }
    }
    Ok(pages)
}

/// The address of a path: everything that could mean something else in one is escaped.
fn href(path: &str) -> String {
    let mut href = String::with_capacity(path.len() + 1);
    href.push('/');
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => href.push(byte.into()),
            _ => href.push_str(&format!("%{byte:02X}")),
        }
    }
    href
}
