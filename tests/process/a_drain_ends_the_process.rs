//! A drain in the process's own family: the exit abandons the remaining tasks, and a `main` that hangs is killed.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{Drain, PoolConfig};

use crate::check::Check;

pub(crate) static CHECKS: &[Check] = &[
    Check { name: "an_exit_abandons_what_remains", play: abandons, expect: |seen| _ = seen.code(0).says("left", 1) },
    Check { name: "a_main_that_hangs_is_killed", play: hangs, expect: |seen| _ = seen.code(7).says("left", 1) },
    #[cfg(all(feature = "tokio", unix))]
    Check { name: "a_signal_is_seen", play: signalled, expect: |seen| _ = seen.code(0).says("drained", 1) },
];

fn abandons() {
    let _exit = heirloom::exit_guard();
    let work = heirloom::create("work");
    work.start(PoolConfig::leased(1)).expect("it starts");
    let (begins, begun) = mpsc::channel();
    let stuck = work.submit(move || {
        begins.send(()).expect("`main` listens");
        loop {
            std::thread::park();
        }
    });
    begun.recv().expect("it runs");
    let drained = Drain::within(Duration::from_millis(50)).end();
    assert!(!drained.is_complete());
    println!("left");
    drop(stuck);
}

fn hangs() {
    let drained = Drain::within(Duration::from_millis(10)).kill(7).end();
    assert!(drained.is_complete());
    println!("left");
    loop {
        std::thread::park();
    }
}

#[cfg(all(feature = "tokio", unix))]
fn signalled() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("it starts");
    runtime.block_on(async {
        let drain = Drain::within(Duration::from_secs(10));
        let signal = async {
            let mut terminated = std::pin::pin!(heirloom::terminated());
            assert!(futures::poll!(&mut terminated).is_pending());
            // SAFETY: a signal to this process, whose handler is tokio's.
            unsafe { libc::raise(libc::SIGTERM) };
            terminated.await;
        };
        let drained = drain.serve(signal, |stopping| stopping).await;
        assert!(drained.is_complete());
        println!("drained");
    });
}
