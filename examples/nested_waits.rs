//! Tasks that wait for other tasks end, also in pools of one.
//!
//! They wait for tasks of their own full pool, for tasks of another pool, or for a channel that heirloom does not know.
//!
//! ```text
//! cargo run --example nested_waits
//! ```

use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, TaskSet};

type Fallible<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Fallible {
    divide_and_conquer()?;
    a_deep_chain()?;
    pools_that_wait_for_each_other()?;
    a_wait_of_another_kind()?;
    a_strictly_serial_pool()?;
    Ok(())
}

fn start(name: &'static str, config: PoolConfig) -> Fallible<PoolManager> {
    let manager = heirloom::create(name);
    manager.start(config)?;
    Ok(manager)
}

/// A task splits its work, submits one half to the pool that it occupies itself, and joins it. A pool's worker that
/// joins a queued task of the same pool runs it in place.
fn divide_and_conquer() -> Fallible {
    fn sum(from: u64, to: u64) -> Fallible<u64> {
        if to - from <= 1_000 {
            return Ok((from..to).sum());
        }
        let middle = from + (to - from) / 2;
        let right = heirloom::get("sums")?.submit(move || sum(middle, to))?;
        Ok(sum(from, middle)? + right.join()??)
    }

    let sums = start("sums", PoolConfig::leased(1))?;
    let total = sums.run(|| sum(0, 100_000))??;
    assert_eq!(total, (0..100_000).sum::<u64>());
    println!("the sum of 0 to 100 000, split over {} tasks of a pool of one: {total}", sums.stats().completed);
    Ok(())
}

/// The stack grows for tasks that run inside one another (feature `stacker`).
fn a_deep_chain() -> Fallible {
    fn deeper(left: u32) -> Fallible<u32> {
        if left == 0 { Ok(0) } else { Ok(1 + heirloom::get("deep")?.submit(move || deeper(left - 1))?.join()??) }
    }

    let deep = start("deep", PoolConfig::leased(1))?;
    let levels = if cfg!(feature = "stacker") { 20_000 } else { 200 };
    assert_eq!(deep.run(|| deeper(levels))??, levels);
    println!("{levels} tasks, each waiting for the next one in the same pool of one");
    Ok(())
}

/// A waiting task releases its permit, so neither pool is full while its task waits for the other's.
fn pools_that_wait_for_each_other() -> Fallible {
    fn ping(left: u32) -> Fallible<u32> {
        let (next, pool) = if left.is_multiple_of(2) { ("even", "odd") } else { ("odd", "even") };
        if left == 0 {
            return Ok(0);
        }
        assert!(heirloom::get(next).is_ok());
        Ok(1 + heirloom::get(pool)?.submit(move || ping(left - 1))?.join()??)
    }

    start("even", PoolConfig::leased(1))?;
    start("odd", PoolConfig::leased(1))?;
    let rounds = heirloom::get("even")?.submit(|| ping(100))?.join()??;
    assert_eq!(rounds, 100);
    println!("{rounds} tasks, each waiting for the next one in the other pool of one");
    Ok(())
}

/// heirloom cannot see a wait on a channel, a lock or a socket. `blocking` shows it.
fn a_wait_of_another_kind() -> Fallible {
    let one = start("one", PoolConfig::leased(1))?;
    let (tell, told) = mpsc::channel();
    let (started, has_started) = mpsc::channel();
    let mut set = TaskSet::new();
    set.push(one.submit(move || {
        started.send(())?;
        Fallible::Ok(heirloom::blocking(|| told.recv())?)
    })?);
    has_started.recv()?; // the only permit is taken
    set.push(one.submit(move || {
        tell.send("told")?;
        Ok("teller")
    })?);

    let mut ended = Vec::new();
    while let Some((_, result)) = set.join_next() {
        ended.push(result??);
    }
    ended.sort_unstable(); // they come as they finish
    assert_eq!(ended, ["teller", "told"]);
    println!("a task waited on a channel for one queued behind it");
    Ok(())
}

/// `holds_permit`: a waiting task keeps its permit. In a pool of one, no two tasks interleave.
fn a_strictly_serial_pool() -> Fallible {
    let serial = start("serial", PoolConfig::leased(1).holds_permit())?;
    let slow = start("slow", PoolConfig::leased(1))?;
    let (go, gate) = mpsc::channel();
    let gated = slow.submit(move || gate.recv())?;

    let first = serial.submit(move || gated.join())?; // waits, and keeps its permit
    let second = serial.submit(|| "second")?;
    let second = match second.join_timeout(Duration::from_millis(20)) {
        Err(not_yet) => not_yet, // the handle comes back
        Ok(result) => return Err(format!("two at once in a serial pool: {result:?}").into()),
    };
    go.send("first")?;
    assert_eq!((first.join()???, second.join()?), ("first", "second"));
    println!("first, then second, in the serial pool");
    Ok(())
}
