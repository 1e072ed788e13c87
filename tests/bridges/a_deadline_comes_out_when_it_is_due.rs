//! The timer's wheel returns each value at its tick, neither sooner nor later, and a removed value never.
//!
//! Its cost does not grow with the number of values.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::wheel::{Key, Wheel};

#[derive(Clone, Debug)]
enum Step {
    /// The value's distance from the clock in ticks, ahead or behind.
    Insert(i64),
    /// The index of an inserted value, if there is one.
    Remove(usize),
    /// Advances the clock.
    Advance(u64),
    /// Advances the clock to the wheel's next tick.
    Next,
}

/// Distances of every size up to the longest time, and beyond the wheel's levels.
fn distance() -> impl Strategy<Value = u64> {
    (0..44_u32, any::<u64>()).prop_map(|(bits, random)| random & ((1 << bits) - 1))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => distance().prop_map(|ticks| Step::Insert(ticks as i64)),
        1 => (0..5_i64).prop_map(|ticks| Step::Insert(-ticks)),
        2 => any::<usize>().prop_map(Step::Remove),
        2 => distance().prop_map(Step::Advance),
        3 => Just(Step::Next),
    ]
}

struct In {
    due: u64,
    value: usize,
    key: Key,
}

/// Takes all due values, a few steps at a time.
fn take(wheel: &mut Wheel<usize>, now: u64) -> Vec<usize> {
    let mut due = Vec::new();
    while wheel.take_due(now, 3, &mut due) {}
    due.sort_unstable();
    due
}

proptest! {
    #[test]
    fn each_value_comes_out_at_its_tick_and_a_removed_one_never(start in distance(), steps in prop::collection::vec(step(), 1..200)) {
        let mut now = start;
        let mut wheel = Wheel::new(now);
        let mut all: Vec<In> = Vec::new();
        let mut gone: Vec<Key> = Vec::new();
        for (value, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert(ticks) => {
                    let asked = now.saturating_add_signed(ticks);
                    let (key, look) = wheel.insert(asked, value);
                    let due = asked.max(now + 1);
                    prop_assert!(now < look && look <= due);
                    all.push(In { due, value, key });
                }
                Step::Remove(which) if !all.is_empty() => {
                    let In { value, key, .. } = all.swap_remove(which % all.len());
                    prop_assert_eq!(wheel.remove(key), Some(value));
                    gone.push(key);
                }
                Step::Remove(_) => {}
                Step::Advance(ticks) => now += ticks,
                Step::Next => now = wheel.next().unwrap_or(now),
            }
            let mut due: Vec<usize> = all.iter().filter(|one| one.due <= now).map(|one| one.value).collect();
            due.sort_unstable();
            prop_assert_eq!(take(&mut wheel, now), due);
            gone.extend(all.extract_if(.., |one| one.due <= now).map(|one| one.key));
            let soonest = all.iter().map(|one| one.due).min();
            match (wheel.next(), soonest) {
                (Some(next), Some(soonest)) => prop_assert!(now < next && next <= soonest),
                (next, soonest) => prop_assert_eq!(next, soonest),
            }
            // Their memory may belong to another value by now.
            prop_assert!(gone.iter().all(|key| wheel.remove(*key).is_none()));
        }
    }
}

/// A wheel with so many values, at which insertions and removals are measured.
struct Beside {
    wheel: Wheel<u64>,
    others: Vec<Key>,
    best: Duration,
}

impl Beside {
    fn new(others: u64) -> Self {
        let mut wheel = Wheel::new(0);
        let others = (0..others).map(|n| wheel.insert(1_000 + n % 100_000, n).0).collect();
        Self { wheel, others, best: Duration::MAX }
    }

    fn measure(&mut self) {
        let began = Instant::now();
        for n in 0..10_000 {
            let (key, _) = self.wheel.insert(30_000 + n, n);
            assert_eq!(self.wheel.remove(key), Some(n));
        }
        self.best = self.best.min(began.elapsed());
    }

    fn end(mut self) {
        assert!(self.others.iter().all(|key| self.wheel.remove(*key).is_some()) && self.wheel.next().is_none());
    }
}

#[test]
fn a_deadline_costs_the_same_beside_a_million() {
    let [mut few, mut many] = [10, 1_000_000].map(Beside::new);
    // In turns, and until other programs have left both alone for once.
    let cheap = (0..100).any(|round| {
        few.measure();
        many.measure();
        // Between three and four for a tree or a heap of a million; the rest is what a cache holds.
        round >= 9 && many.best < 3 * few.best + Duration::from_millis(1)
    });
    assert!(cheap, "{:?} beside ten, {:?} beside a million", few.best, many.best);
    few.end();
    many.end();
}
