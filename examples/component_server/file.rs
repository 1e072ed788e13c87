//! Reading the file behind a page.
//!
//! These calls block, so they belong on the `"io"` pool.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::SystemTime;

use crate::site::{Page, Site};

/// A longer file is cut: its page would hold up the others.
pub(crate) const LONGEST: u64 = 1 << 20;

pub(crate) struct Facts {
    pub(crate) bytes: u64,
    /// Not every file system knows.
    pub(crate) changed: Option<SystemTime>,
}

/// The text of a page. Bytes that are not UTF-8 are shown as `�`.
pub(crate) fn read(site: &Site, page: &Page) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(locate(site, page)?)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(crate) fn facts(site: &Site, page: &Page) -> io::Result<Facts> {
    let found = fs::metadata(locate(site, page)?)?;
    Ok(Facts { bytes: found.len(), changed: found.modified().ok() })
}

/// The walk that found this page met no symbolic link, but a link may have replaced a file or a directory since.
fn locate(site: &Site, page: &Page) -> io::Result<PathBuf> {
    let path = fs::canonicalize(site.root.join(&page.path))?;
    if path == site.root.join(&page.path) && path.is_file() {
        Ok(path)
    } else {
        Err(io::Error::new(io::ErrorKind::NotFound, "it is no longer a plain file of this site"))
    }
}
