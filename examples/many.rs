//! Many results at once: calls, maps, sets and a stream.
//!
//! ```text
//! cargo run --example many
//! ```

use std::time::Duration;

use heirloom::{Error, PoolConfig, Scope, TaskSet};

/// One error for the program's own failures and all of heirloom's.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Pools(#[from] Error),
    #[error("{0}: {1}")]
    File(&'static str, std::io::Error),
}

const FILES: [&str; 3] = ["Cargo.toml", "README.md", "CHANGELOG.md"];

fn main() -> Result<(), Failure> {
    heirloom::create("files").start(PoolConfig::leased(4).log_panics(false))?;
    a_call()?;
    all_or_none()?;
    each_by_itself()?;
    borrowed()?;
    different_tasks()?;
    a_stream()?;
    a_stream_is_awaited()
}

fn lines(file: &'static str) -> Result<usize, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::File(file, error))?;
    Ok(text.lines().count())
}

/// Finds the pool, submits and waits. Both calls are under way before the first one is waited for.
fn a_call() -> Result<(), Failure> {
    let manifest = heirloom::call("files", || lines("Cargo.toml"));
    let readme = heirloom::call("files", || lines("README.md"));
    println!("calls: {} and {} lines", manifest.join()?, readme.join()?);
    Ok(())
}

/// The first error cancels the rest.
fn all_or_none() -> Result<(), Failure> {
    let files = heirloom::get("files")?;
    let counts: Vec<usize> = files.try_map(FILES, lines).collect::<Result<_, _>>()?;
    println!("try_map: {counts:?}");

    let with_a_hole = ["Cargo.toml", "no such file", "README.md"];
    let mut counts = files.try_map(with_a_hole, lines);
    if let Some(error) = counts.by_ref().find_map(Result::err) {
        println!("try_map: item {:?}: {error}", counts.failed_at());
    }
    Ok(())
}

/// A failed item is known by its position, and the others go on.
fn each_by_itself() -> Result<(), Failure> {
    let slow = |n: u64| {
        assert_ne!(n, 2, "a bug");
        heirloom::sleep(Duration::from_millis(40 - 10 * n)).map(|()| n)
    };
    for (at, result) in heirloom::get("files")?.map_unordered(0..4, slow)?.indexed() {
        match result {
            Ok(n) => println!("map_unordered: item {at}: {n:?}"),
            Err(error) => println!("map_unordered: item {at}: {error}"),
        }
    }
    Ok(())
}

/// Items and closure borrow from this function.
fn borrowed() -> Result<(), Failure> {
    let (names, suffix) = (vec![String::from("walk"), String::from("up")], String::from("!"));
    let names: Vec<String> =
        heirloom::get("files")?.scope(|s| s.map(&names, |name| name.clone() + &suffix)?.collect::<Result<_, _>>())?;
    println!("scope: {names:?}");
    Ok(())
}

/// Tasks of several kinds, of which the first error cancels the others and waits for their end.
fn different_tasks() -> Result<(), Failure> {
    let files = heirloom::get("files")?;
    let mut set = TaskSet::new();
    set.push(files.submit(|| lines("Cargo.toml"))?);
    set.push(files.submit(|| heirloom::sleep(Duration::from_secs(3600)).map(|()| 0).map_err(Failure::from))?);
    set.push(files.submit(|| lines("no such file"))?);
    if let Err(error) = set.try_join_all() {
        println!("try_join_all: {error}");
    }
    Ok(())
}

/// A task that sends, no faster than this function reads.
fn a_stream() -> Result<(), Failure> {
    let first: Vec<u32> = Scope::run("request 7", |_| {
        let rows = heirloom::get("files")?.stream(|out| (1..).try_for_each(|row| out.send(row)))?;
        rows.take(3).collect::<Result<_, Error>>() // its drop cancels the task, so the request ends
    })?;
    println!("stream: {first:?}");
    Ok(())
}

/// The same in async code, on any runtime.
fn a_stream_is_awaited() -> Result<(), Failure> {
    let mut rows = heirloom::get("files")?.stream(|out| (1..=3).try_for_each(|row| out.send(row)))?;
    futures::executor::block_on(async {
        while let Some(row) = rows.next_async().await {
            let row: Result<u32, Error> = row;
            println!("stream: row {}", row?);
        }
        Ok(())
    })
}
