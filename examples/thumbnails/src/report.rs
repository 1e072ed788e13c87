//! The report of a run, and whether all was right.

use crate::load::Seen;
use crate::worker::Ended;

/// Prints what the clients and the workers saw. Returns whether all was right.
pub(crate) fn print(seen: &Seen, workers: &[Ended]) -> bool {
    let (p50, p99) = (seen.percentile(50), seen.percentile(99));
    println!("{} pages, {} pictures, {} bytes, p50 {p50:.1?}, p99 {p99:.1?}", seen.pages, seen.took.len(), seen.bytes);
    let mut stopped = 0;
    for worker in workers {
        let pictures = seen.of_workers.get(&worker.worker).copied().unwrap_or_default();
        println!("worker {}: {pictures} pictures, {} jobs stopped; {}", worker.worker, worker.stopped, worker.report);
        stopped += worker.stopped;
    }
    let begun_late = seen.hung_up.saturating_sub(stopped);
    println!("{} clients hung up: {stopped} jobs stopped on their workers, {begun_late} had not begun", seen.hung_up);

    let mut wrong = seen.failures.clone();
    let mut check = |holds: bool, text: &str| {
        if !holds {
            wrong.push(text.to_string());
        }
    };
    check(!seen.took.is_empty(), "no picture came");
    check(workers.iter().all(|worker| worker.complete), "a worker has lost a job");
    check(seen.of_workers.values().sum::<u64>() == seen.took.len() as u64, "a picture has no worker");
    check(seen.of_workers.len() == workers.len(), "a worker drew nothing");
    check(seen.hung_up == 0 || stopped > 0, "no job of a client that hung up was stopped");
    check(stopped <= seen.hung_up, "a job was stopped whose client did not hang up");
    for text in &wrong {
        println!("wrong: {text}");
    }
    wrong.is_empty()
}
