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
    name: &'static str,
    turn: Box<dyn FnMut() -> Turn + 'a>,
}

/// The time that a turn has taken, or the reason why the contender is skipped.
type Turn = Result<Duration, String>;

impl<'a> Contender<'a> {
    /// `turn` does the work once.
    pub(crate) fn new(name: &'static str, mut turn: impl FnMut() + 'a) -> Self {
        let timed = move || {
            let begun = Instant::now();
            turn();
            Ok(begun.elapsed())
        };
        Self { name, turn: Box::new(timed) }
    }

    /// `turn` has the work done in another process, which takes the time itself.
    pub(crate) fn elsewhere(name: &'static str, turn: impl FnMut() -> Turn + 'a) -> Self {
        Self { name, turn: Box::new(turn) }
    }

    /// Does the work twice, and returns the time of the second one: the first one takes what the contender before has left.
    fn turn(&mut self) -> Turn {
        std::thread::sleep(PAUSE);
        (self.turn)().and_then(|_| (self.turn)())
    }

    /// Takes its first turns, which open what it opens once, and returns how many more fit into the budget.
    fn warm_up(&mut self, budget: Duration, rounds: usize) -> usize {
        let once = (0..3).map(|_| (self.turn)().unwrap_or_default()).min().unwrap_or_default();
        let fits = budget.as_nanos() / (2 * once + PAUSE).as_nanos();
        usize::try_from(fits).unwrap_or(rounds).clamp(3, rounds.max(3))
    }
}

/// The time in which the threads and workers of the contender before end their work, outside of any turn.
const PAUSE: Duration = Duration::from_millis(2);

/// The names of the contenders, each with its median.
pub(crate) type Medians = Vec<(&'static str, Turn)>;

/// Lets the contenders take their turns, one after the other, round by round.
pub(crate) fn contest(plan: &Plan, rounds: usize, mut contenders: Vec<Contender<'_>>) -> Medians {
    let turns: Vec<usize> = contenders.iter_mut().map(|contender| contender.warm_up(plan.budget, rounds)).collect();
    let mut times = vec![Ok(Vec::new()); contenders.len()];
    for round in 0..rounds {
        // Each round begins with another one, so that no contender always comes after the same.
        for at in (0..contenders.len()).map(|at| (at + round) % turns.len()) {
            let (turns, times) = (turns[at], &mut times[at]);
            // The turns of a slow one are spread over all rounds.
            let has_turn = round * turns / rounds != (round + 1) * turns / rounds;
            if let (true, Ok(taken)) = (has_turn, times.as_mut()) {
                match contenders[at].turn() {
                    Ok(time) => taken.push(time),
                    Err(why) => *times = Err(why),
                }
            }
        }
    }
    contenders.into_iter().zip(times).map(|(contender, times)| (contender.name, times.map(median))).collect()
}

/// Returns the middle one.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
