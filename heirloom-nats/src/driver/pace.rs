//! [`Pace`]: the driver's own lateness, by which it notices that its process was stopped. [`ready`]: the turns of its sources.

use std::time::{Duration, Instant};

/// How late the steps of the driver are.
///
/// A step is late by the time that has passed since the last one, or since the end of the wait between them. The time for which
/// work has been due is no lateness: a burst of calls makes the driver late with its work, and stops no process.
pub(super) struct Pace {
    /// The time at which the next step was to come.
    next: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { next: now }
    }

    /// Begins a wait that ends at this time at the latest.
    pub(super) fn wait_until(&mut self, due: Instant) {
        self.next = self.next.max(due);
    }

    /// Begins a step. Returns how late it is.
    pub(super) fn step(&mut self, now: Instant) -> Duration {
        let late = now.saturating_duration_since(self.next);
        self.next = now;
        late
    }
}

/// Returns what one of the sources has.
///
/// The sources are first in turn, step by step, so that a burst of one holds up none of the others.
pub(super) fn ready<T>(step: usize, sources: [&mut dyn FnMut() -> Option<T>; 3]) -> Option<T> {
    let [first, second, third] = sources;
    match step % 3 {
        0 => first().or_else(second).or_else(third),
        1 => second().or_else(third).or_else(first),
        _ => third().or_else(first).or_else(second),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Pace, ready};

    const LONG: Duration = Duration::from_secs(9);

    #[test]
    fn a_wait_that_ends_late_is_lateness() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.wait_until(start + LONG);
        assert_eq!(pace.step(start + LONG), Duration::ZERO);
        pace.wait_until(start + LONG * 2);
        assert_eq!(pace.step(start + LONG * 5), LONG * 3);
    }

    #[test]
    fn a_step_after_a_stop_within_a_turn_is_late() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.wait_until(start + LONG);
        assert_eq!(pace.step(start), Duration::ZERO, "a message ends the wait early");
        assert_eq!(pace.step(start + LONG), LONG);
    }

    #[test]
    fn work_that_has_been_due_since_an_earlier_turn_makes_no_step_late() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for turn in 1..100 {
            // Each turn takes a moment, and something is due since the first one.
            pace.wait_until(start);
            assert!(pace.step(start + Duration::from_millis(turn)) <= Duration::from_millis(1));
        }
    }

    #[test]
    fn a_burst_of_one_source_holds_up_none_of_the_others() {
        for burst in 0..3 {
            let mut left = [2_usize; 3];
            left[burst] = usize::MAX;
            for step in (0..6).rev() {
                let [one, two, three] = &mut left;
                let took = |left: &mut usize| left.checked_sub(1).map(|less| *left = less);
                ready(step, [&mut || took(one), &mut || took(two), &mut || took(three)]).expect("one has something");
            }
            assert!((0..3).filter(|source| *source != burst).all(|source| left[source] == 0), "{left:?}");
        }
    }
}
