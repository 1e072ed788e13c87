//! A sandbox that denies `membarrier` after the process has used it (seccomp) costs look-ups a full fence and a warning:
//! what is taken out goes on being freed, while others look it up.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use heirloom::{Heirloom, Lineage, Scope};

use crate::check::Check;
use crate::common::BOUND;

/// All threads of this process are refused `membarrier` from now on. False where the system has no such filters.
fn deny() -> bool {
    let arch = match std::env::consts::ARCH {
        "x86_64" => 0xc000_003e,
        "aarch64" => 0xc000_00b7,
        _ => return false,
    };
    let load = |at: u32| libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: at };
    let equals = |k: u32, jf: u8| libc::sock_filter { code: 0x15, jt: 0, jf, k };
    let answer = |k: u32| libc::sock_filter { code: 0x06, jt: 0, jf: 0, k };
    let number = u32::try_from(libc::SYS_membarrier).expect("a small number");
    let refused = 0x0005_0000 | libc::EPERM.cast_unsigned();
    let allowed = 0x7fff_0000;
    let mut filter = [load(4), equals(arch, 3), load(0), equals(number, 1), answer(refused), answer(allowed)];
    let program = libc::sock_fprog { len: 6, filter: filter.as_mut_ptr() };
    // SAFETY: the filter outlives the calls, which copy it.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            // For all threads at once.
            && libc::syscall(libc::SYS_seccomp, 1, 1, &raw const program) == 0
    }
}

static VALUE: Heirloom<Counted> = Heirloom::new("value");
static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// Its contents are what they were for as long as it may be looked at.
struct Counted(Vec<u64>);

impl Counted {
    fn new(number: u64) -> Self {
        ALIVE.fetch_add(1, Ordering::SeqCst);
        Self(vec![number; 16])
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fill(u64::MAX);
        ALIVE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Binds and takes out again, as a server's requests do.
fn churn(rounds: u64) {
    for number in 0..rounds {
        let request = Scope::new("request");
        VALUE.at(&request).bind(Counted::new(number)).expect("open");
        assert!(request.run(|| VALUE.with(|value| value.0[0])).is_ok_and(|found| found == number));
        assert!(VALUE.at(&request).unbind().is_some());
    }
}

/// A thread that has looked something up, and then waits for ever.
fn looked_once() {
    let (says, looked) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = VALUE.with(|_| ());
        says.send(()).expect("somebody listens");
        loop {
            std::thread::park();
        }
    });
    looked.recv().expect("it looks");
}

/// Counts what is said at WARN.
struct Ear;

static WARNED: AtomicUsize = AtomicUsize::new(0);

impl tracing::Subscriber for Ear {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        // A subscriber may look things up too.
        let _ = VALUE.with(|_| ());
        WARNED.fetch_add(1, Ordering::SeqCst);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Denies it after it was used, or says that it cannot be, and leaves. So many values are bound then.
fn use_and_deny(bound: usize) {
    tracing::subscriber::set_global_default(Ear).expect("nobody else sets one");
    // The key has a value first, or nobody looks anywhere.
    churn(1);
    looked_once();
    churn(100);
    assert_eq!(ALIVE.load(Ordering::SeqCst), bound, "all others are gone");
    if !deny() {
        println!("skipped: no seccomp filter can be set here");
        std::process::exit(0);
    }
}

pub(crate) static CHECKS: &[Check] = &[
    Check::passes("what_is_made_later_is_freed_at_once", || {
        use_and_deny(0);
        let begun = Instant::now();
        // The first that is taken out finds out; it was made before that.
        churn(1);
        churn(20_000);
        assert!(ALIVE.load(Ordering::SeqCst) <= 1, "{} are kept", ALIVE.load(Ordering::SeqCst));
        assert!(begun.elapsed() < BOUND / 3, "{:?}", begun.elapsed());
        assert_eq!(WARNED.load(Ordering::SeqCst), 1);
    }),
    Check::passes("what_was_there_is_freed_a_moment_later", || {
        let before: Vec<Scope> = (0..50).map(|_| Scope::new("before")).collect();
        for (number, scope) in (0..).zip(&before) {
            VALUE.at(scope).bind(Counted::new(number)).expect("open");
        }
        use_and_deny(before.len());
        before.iter().for_each(|scope| assert!(VALUE.at(scope).unbind().is_some()));
        let until = Instant::now() + BOUND / 3;
        while ALIVE.load(Ordering::SeqCst) > 0 {
            assert!(Instant::now() < until, "{} are kept", ALIVE.load(Ordering::SeqCst));
            std::thread::sleep(Duration::from_millis(50));
            // What waits is looked at with the next removal.
            churn(1);
        }
    }),
    Check::passes("whoever_looks_meanwhile_finds_it_whole", || {
        use_and_deny(0);
        let ends = Arc::new(AtomicBool::new(false));
        let looks: Vec<_> = (0..3)
            .map(|_| {
                let ends = Arc::clone(&ends);
                std::thread::spawn(move || {
                    let mut found = 0_u64;
                    while !ends.load(Ordering::Relaxed) {
                        let whole = |value: &Counted| value.0.iter().all(|n| *n == value.0[0] && *n != u64::MAX);
                        found += u64::from(VALUE.with(|value| assert!(whole(value), "it was freed")).is_ok());
                    }
                    found
                })
            })
            .collect();
        let begun = Instant::now();
        let mut number = 1;
        // Past the moment when what was there before is freed.
        while begun.elapsed() < Duration::from_secs(3) {
            VALUE.at(&Lineage::process()).bind(Counted::new(number)).expect("open");
            if number.is_multiple_of(3) {
                VALUE.at(&Lineage::process()).unbind();
            }
            number += 1;
        }
        ends.store(true, Ordering::Relaxed);
        assert!(looks.into_iter().all(|thread| thread.join().expect("it finds nothing broken") > 0));
        churn(1);
        assert!(ALIVE.load(Ordering::SeqCst) <= 2, "{} of {number} are kept", ALIVE.load(Ordering::SeqCst));
    }),
];
