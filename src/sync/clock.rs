//! [`CoarseInstant`]: a clock that is cheap enough to be read for every task. [`Moment`]: an exact one. [`spin_for`]: a time
//! too short for any clock.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// A moment, exact to a few milliseconds; enough for the age of a task in a report. On Linux reading it costs about 5
/// ns, a fifth of `Instant::now`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CoarseInstant {
    nanos: u64,
}

impl CoarseInstant {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[inline]
    pub(crate) fn now() -> Self {
        Self { nanos: read(libc::CLOCK_MONOTONIC_COARSE) }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn now() -> Self {
        Self { nanos: nanos_of_process() }
    }

    /// In whole milliseconds: digits beyond them would be the clock's noise.
    pub(crate) fn since(self, earlier: CoarseInstant) -> Duration {
        Duration::from_millis((self.nanos.saturating_sub(earlier.nanos) + 500_000) / 1_000_000)
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline]
fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a valid `timespec` of this frame. The clocks exist since Linux 2.6.32; without one the call
    // fails and the time stays zero.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn nanos_of_process() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_nanos() as u64
}

/// A moment in nanoseconds, half the size of an `Instant`, and none in its `Option`. Reading it costs about 25 ns.
#[cfg(any(feature = "metrics", feature = "inspector"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(std::num::NonZeroU64);

#[cfg(any(feature = "metrics", feature = "inspector"))]
impl Moment {
    #[inline]
    pub(crate) fn now() -> Self {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let nanos = read(libc::CLOCK_MONOTONIC);
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let nanos = nanos_of_process();
        Self(std::num::NonZeroU64::new(nanos).unwrap_or(std::num::NonZeroU64::MIN))
    }

    /// Returns the nanoseconds from an earlier moment to this one.
    #[inline]
    pub(crate) fn nanos_since(self, earlier: Self) -> u64 {
        self.0.get().saturating_sub(earlier.0.get())
    }
}

/// Spins for about this long, so that polls do not disturb the CPU that they watch. Spins for at least one pause
/// instruction, whose length is measured once: from 4 to 140 ns, by the processor's make.
#[inline]
pub(crate) fn spin_for(nanos: u32) {
    static IN_1024_NANOS: LazyLock<u32> = LazyLock::new(pauses_in_1024_nanos);
    for _ in 0..(nanos * *IN_1024_NANOS / 1024).max(1) {
        std::hint::spin_loop();
    }
}

/// Takes a few microseconds.
#[cold]
fn pauses_in_1024_nanos() -> u32 {
    const PAUSES: u32 = 32;
    let took = || {
        let began = Instant::now();
        (0..PAUSES).for_each(|_| std::hint::spin_loop());
        began.elapsed().as_nanos()
    };
    // The shortest: the others were interrupted.
    let shortest = (0..4).map(|_| took()).min().map_or(1, |nanos| nanos.max(1));
    u32::try_from(u128::from(PAUSES) * 1024 / shortest).map_or(1, |pauses| pauses.clamp(1, 1024))
}
