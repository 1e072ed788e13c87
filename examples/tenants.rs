//! One shared pool, a noisy tenant, a quiet one, and two classes of work: interactive and batch.
//!
//! ```text
//! cargo run --example tenants
//! ```

use std::error::Error;
use std::sync::mpsc;

use heirloom::{PoolConfig, Scope};

/// A report of the noisy tenant is so many tasks.
const PAGES: usize = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    let server = Scope::new("server");
    let render = server.create("render");
    // Level 0 is interactive and level 1 batch; within a level tenants take turns. One permit, to see the order.
    render.start(PoolConfig::leased(1).priorities(2).fair())?;

    let noisy = Scope::new_in(&server, "tenant noisy");
    let quiet = Scope::new_in(&server, "tenant quiet");
    let paying = Scope::new_in(&server, "tenant paying");
    paying.weight(3); // three tasks in its turn

    let (open, gate) = mpsc::channel::<()>();
    let (log, starts) = mpsc::channel();
    drop(render.submit(move || gate.recv())?); // holds the permit until all is queued
    let note = |name: &'static str| {
        let log = log.clone();
        move || log.send(name)
    };

    // A nightly report is batch work. All that is submitted below its scope is behind the interactive tasks.
    let nightly = Scope::new_in(&noisy, "nightly report");
    nightly.priority(1);
    nightly.run(|| (0..3).try_for_each(|_| render.submit(note("noisy, nightly")).map(drop)))?;
    // The noisy tenant exports a whole site, and then the others click once, or a few times.
    noisy.run(|| (0..PAGES).try_for_each(|_| render.submit(note("noisy")).map(drop)))?;
    paying.run(|| (0..4).try_for_each(|_| render.submit(note("paying")).map(drop)))?;
    drop(quiet.run(|| render.submit(note("quiet")))?);
    // One task may have a priority of its own.
    drop(quiet.run(|| render.submit_at(1, note("quiet, thumbnail")))?);

    drop(log);
    open.send(())?;
    let starts: Vec<&str> = starts.iter().collect();
    println!("the first 20 of {} tasks:", starts.len());
    starts[..20].iter().enumerate().for_each(|(at, name)| println!("{:>4}  {name}", at + 1));

    // The export holds the quiet tenant up by one task, and the paying one by its share.
    assert_eq!(starts[..5], ["noisy", "paying", "paying", "paying", "quiet"]);
    // Batch work has one of sixteen starts, however much is interactive.
    assert_eq!(starts[..16].iter().filter(|name| name.contains(',')).count(), 1);
    for tenant in [noisy, quiet, paying] {
        assert!(tenant.stop()?.is_complete());
    }
    Ok(())
}
