//! Counts the words of this crate's own sources on work-stealing pools.
//!
//! Two requests count, as in a server: each on a pool of its own, then both on a pool that they share.
//!
//! Run it with `cargo run --example work_stealing`, or give it a directory.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use heirloom::{Heirloom, PoolConfig, Scope};
use rayon::prelude::*;

/// The shortest word that a request wants to have counted.
static SHORTEST: Heirloom<usize> = Heirloom::new("shortest word");

type Counts = HashMap<String, usize>;

fn sources(directory: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

/// Finds the request's settings at the current node, so this function takes no parameter for them.
fn count(text: &str) -> Counts {
    let shortest = SHORTEST.get().map_or(0, |shortest| *shortest);
    let mut counts = Counts::new();
    for word in text.split(|c: char| !c.is_alphabetic()).filter(|word| word.len() >= shortest.max(1)) {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    counts
}

fn merge(mut all: Counts, some: Counts) -> Counts {
    for (word, n) in some {
        *all.entry(word).or_default() += n;
    }
    all
}

fn most(counts: &Counts) -> (&str, usize) {
    counts.iter().map(|(word, n)| (word.as_str(), *n)).max_by_key(|(word, n)| (*n, *word)).unwrap_or(("", 0))
}

fn main() -> Result<(), Box<dyn Error>> {
    let _exit = heirloom::exit_guard();
    let directory = std::env::args().nth(1).unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/src").into());
    let mut files = Vec::new();
    sources(Path::new(&directory), &mut files)?;
    let texts = files.iter().map(std::fs::read_to_string).collect::<Result<Vec<_>, _>>()?;
    println!("{} files", texts.len());

    let shared = heirloom::create("shared");
    shared.start(PoolConfig::work_stealing(4))?;

    for shortest in [4, 8] {
        let request = Scope::new(format!("words of {shortest} letters"));
        SHORTEST.at(&request).bind(shortest)?;

        // A pool of the request's own: all its code stands at the request. It costs less than a plain rayon pool,
        // because its threads are borrowed.
        let own = request.create("words");
        own.start(PoolConfig::work_stealing(4))?;
        let counts = own.install(|| texts.par_iter().map(|text| count(text)).reduce(Counts::new, merge))?;
        let (word, n) = most(&counts);
        println!(
            "{}: {} different ones, most often \"{word}\", {n} times",
            request.name().unwrap_or("?"),
            counts.len()
        );

        // A pool for all requests: its code stands at the process, so the closure carries the request's node.
        let at = request.lineage();
        let again = shared
            .install(|| texts.par_iter().map(at.carry(|text: &String| count(text))).reduce(Counts::new, merge))?;
        assert_eq!(again, counts);

        // Without that, nothing of the request is seen, and nothing of another one either.
        let all = shared.install(|| texts.par_iter().map(|text| count(text)).reduce(Counts::new, merge))?;
        assert!(all.len() > counts.len());

        assert!(request.stop()?.is_complete()); // its pool ends with it
    }
    println!("{}", shared.stop()?);
    Ok(())
}
