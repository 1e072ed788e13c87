//! A request with a deadline: its query, its thread and its queued report all end with it, and no function takes a timeout.
//!
//! Run with `cargo run --example deadlines`.

use std::time::Duration;

use heirloom::{Error, ErrorKind, PoolConfig, Scope, thread};

/// A query that would take too long. It stands in the request, and needs no timeout of its own.
fn query() -> Result<u64, Error> {
    let mut rows = 0;
    loop {
        heirloom::checkpoint()?;
        heirloom::sleep(Duration::from_millis(1))?;
        rows += 1;
        if rows == 1_000_000 {
            return Ok(rows);
        }
    }
}

fn main() -> Result<(), Error> {
    let _exit = heirloom::exit_guard();
    let server = Scope::new("server");
    let db = server.create("db");
    db.start(PoolConfig::leased(1).holds_permit())?;

    let limit = Duration::from_millis(500);
    let (rows, report, watcher) = Scope::run_timeout("request 7", limit, |request| {
        println!("{request} has {:?} left", heirloom::remaining().unwrap_or_default());
        let rows = db.submit(query)?;
        let report = db.submit(|| "never starts")?; // queued behind the query
        let watcher = thread::spawn(|| heirloom::sleep(Duration::from_secs(3600)))?;
        Ok::<_, Error>((rows, report, watcher))
    })?;

    let cancelled = rows.join()?.expect_err("it takes too long");
    println!("the query:  {cancelled}");
    assert_eq!(cancelled.kind(), ErrorKind::DeadlineExceeded); // answered with 504
    let never = report.join().expect_err("it is cancelled in the queue");
    println!("the report: {never}");
    assert_eq!(never.kind(), ErrorKind::DeadlineExceeded);
    assert!(watcher.join()?.is_err());

    // One task has a time of its own; the others of its pool go on.
    let slow = db.submit(query)?.timeout(Duration::from_millis(5));
    match slow.join() {
        Ok(rows) => println!("one task:   {}", rows.expect_err("it takes too long")),
        Err(queued) => println!("one task:   {queued}"), // no thread had come for it
    }
    Ok(())
}
