//! What is queued for a pool that is local to the thread that ends the process is cancelled: nobody will run it, so
//! nothing waits for it.

use heirloom::{LocalPool, PoolConfig, PoolManager};

use crate::check::Check;

pub(crate) static CHECKS: &[Check] = &[
    Check { name: "a_return", play: returns, expect: |seen| _ = seen.code(0).says("ran", 0) },
    Check { name: "a_guard", play: guarded, expect: |seen| _ = seen.code(0).says("cancelled", 1) },
    Check { name: "an_exit", play: exits, expect: |seen| _ = seen.code(7).says("ran", 0) },
    Check { name: "an_exit_in_a_task", play: exits_in_a_task, expect: |seen| _ = seen.code(8).says("ran", 0) },
    Check { name: "an_exit_in_an_initialiser", play: exits_in_an_initialiser, expect: |seen| _ = seen.code(9) },
];

fn queued() -> (PoolManager, LocalPool, heirloom::TaskHandle<()>) {
    let ui = heirloom::create("ui");
    let local = ui.start_local(PoolConfig::local()).expect("starts");
    let task = ui.submit(|| println!("ran")).expect("accepted");
    (ui, local, task)
}

/// Nobody drops it.
fn returns() {
    std::mem::forget(queued());
}

fn guarded() {
    let (_ui, _local, task) = queued();
    let waiter = std::thread::spawn(move || match task.join() {
        Err(error) if error.is_cancelled() => println!("cancelled"),
        other => println!("{other:?}"),
    });
    // It outlives none of the others: they are dropped after it.
    drop(heirloom::exit_guard());
    waiter.join().expect("no panic");
}

fn exits() {
    let _queued = queued();
    std::process::exit(7);
}

fn exits_in_a_task() {
    let ui = heirloom::create("ui");
    let local = ui.start_local(PoolConfig::local()).expect("starts");
    drop(ui.submit(|| std::process::exit(8)).expect("accepted"));
    drop(ui.submit(|| println!("ran")).expect("accepted"));
    local.run_pending();
}

/// A worker's initialiser, on another thread: what waits for the worker ends.
fn exits_in_an_initialiser() {
    let work = heirloom::create("work");
    let config = PoolConfig::dedicated(1).on_worker_start(|_| -> Result<(), String> { std::process::exit(9) });
    work.start(config).expect("starts");
    let task = work.submit(|| ()).expect("accepted");
    assert!(task.join().is_err_and(|error| error.kind() == heirloom::ErrorKind::WorkerInit));
    loop {
        std::thread::park();
    }
}
