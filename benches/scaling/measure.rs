//! Clocks.

use std::time::Instant;

/// Does the work once; its nanoseconds.
pub(crate) fn of(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64
}

/// Does the work so many times; the nanoseconds of one.
pub(crate) fn each(times: usize, mut work: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    (0..times).for_each(&mut work);
    start.elapsed().as_nanos() as f64 / times.max(1) as f64
}

/// Does the work in several short turns; the nanoseconds of one in the best of them.
pub(crate) fn best(turn: usize, mut work: impl FnMut(usize)) -> f64 {
    (0..10).map(|round| each(turn, |time| work(round * turn + time))).fold(f64::INFINITY, f64::min)
}
