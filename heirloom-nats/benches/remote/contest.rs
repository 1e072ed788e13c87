//! A contest: contenders take turns on the same work, and each ends with a median.

use std::time::{Duration, Instant};

/// How often to measure.
pub(crate) struct Plan {
    /// Rounds of one job each. Longer work has a tenth.
    pub(crate) rounds: usize,
    /// Scopes with 100 running jobs that are cancelled.
    pub(crate) cancels: usize,
    /// Workers that are killed.
    pub(crate) deaths: usize,
    /// The time that one contender may take in one table: a slow one has fewer rounds.
    budget: Duration,
}

impl Plan {
    pub(crate) const FULL: Self = Self { rounds: 1_000, cancels: 20, deaths: 5, budget: Duration::from_secs(20) };
    pub(crate) const QUICK: Self = Self { rounds: 30, cancels: 3, deaths: 1, budget: Duration::from_secs(1) };
}

/// One way to do the work of a table.
pub(crate) struct Contender<'a> {
    pub(crate) name: &'static str,
    turn: Box<dyn FnMut() -> Duration + 'a>,
}

impl<'a> Contender<'a> {
    /// `turn` does the work once.
    pub(crate) fn new(name: &'static str, mut turn: impl FnMut() + 'a) -> Self {
        let timed = move || {
            let begun = Instant::now();
            turn();
            begun.elapsed()
        };
        Self { name, turn: Box::new(timed) }
    }
}

/// The names of the contenders, each with its median.
pub(crate) type Medians = Vec<(&'static str, Duration)>;

/// Lets the contenders take their turns, one after the other, round by round.
pub(crate) fn contest(plan: &Plan, rounds: usize, mut contenders: Vec<Contender<'_>>) -> Medians {
    // The first turns open what a contender opens once.
    let warm = |contender: &mut Contender<'_>| (0..3).map(|_| (contender.turn)()).min().unwrap_or_default();
    let fits = |once: Duration| (plan.budget.as_nanos() / once.as_nanos().max(1)).min(rounds as u128) as usize;
    let parts: Vec<usize> = contenders.iter_mut().map(|contender| fits(warm(contender)).max(3)).collect();
    let mut times: Vec<Vec<Duration>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for ((contender, part), times) in contenders.iter_mut().zip(&parts).zip(&mut times) {
            // Its turns are spread over all rounds.
            if round * part / rounds != (round + 1) * part / rounds {
                times.push((contender.turn)());
            }
        }
    }
    contenders.into_iter().zip(times).map(|(contender, times)| (contender.name, median(times))).collect()
}

/// Returns the middle one.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
