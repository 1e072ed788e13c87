//! One peer of heirloom-nats's bench: `heirloom-nats-peers tonic` or `heirloom-nats-peers apalis REDIS`.
//!
//! The program prints `ready`. Then each line `SIZE COUNT` on its standard input is one turn: so many jobs, of so many bytes each,
//! are sent together, and their results are taken. The answer is a line with the nanoseconds. It ends with its input.

mod jobs;
mod rpc;

use std::io::{BufRead, Write};
use std::time::Instant;

/// One way to send jobs and to get their results.
trait Peer {
    /// Sends so many jobs of so many bytes together, and takes all results.
    fn turn(&mut self, data: &str, count: usize);
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["tonic"] => serve(rpc::Tonic::start()),
        ["apalis", redis] => serve(jobs::Apalis::start(redis, jobs::Results::Waited)),
        ["apalis-polled", redis] => serve(jobs::Apalis::start(redis, jobs::Results::Polled)),
        _ => panic!("usage: heirloom-nats-peers tonic | apalis REDIS | apalis-polled REDIS"),
    }
}

fn serve(mut peer: impl Peer) {
    let mut out = std::io::stdout();
    writeln!(out, "ready").expect("the bench listens");
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a line of the bench");
        let (size, count) = line.split_once(' ').expect("a size and a count");
        let data = "7".repeat(size.parse().expect("a size"));
        let count = count.parse().expect("a count");
        let begun = Instant::now();
        peer.turn(&data, count);
        writeln!(out, "{}", begun.elapsed().as_nanos()).expect("the bench listens");
    }
}

/// Returns a runtime with one thread, as each end of the bench has it.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}
