//! A contest: contenders take turns on the same work, and each ends with a median.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often each contender has its turn, and for how long.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    rounds: usize,
    turn: Duration,
}

impl Pace {
    const fn new(rounds: usize, turn_in_micros: u64) -> Self {
        Self { rounds, turn: Duration::from_micros(turn_in_micros) }
    }
}

/// How long, how often and how much to measure.
pub(crate) struct Plan {
    /// For work on several threads: a turn is long enough to hold the average of good and bad placements.
    pub(crate) threads: Pace,
    /// For work on one thread: a turn is short beside a scheduler's time slice, so most turns are undisturbed.
    pub(crate) alone: Pace,
    /// For floods, which take their time whatever the turn.
    pub(crate) floods: Pace,
    /// Tasks of one flood.
    pub(crate) flood: usize,
    /// Managers alive at once.
    pub(crate) managers: usize,
    /// Idle pools of each peer alive at once, four threads each.
    pub(crate) peer_pools: usize,
    /// Small programs are built, and run.
    pub(crate) builds: bool,
    /// Scopes opened and closed while the memory is watched.
    pub(crate) scopes: u64,
}

impl Plan {
    pub(crate) const fn full() -> Self {
        Self {
            threads: Pace::new(51, 6_000),
            alone: Pace::new(201, 400),
            floods: Pace::new(11, 0),
            flood: 100_000,
            managers: 1_000_000,
            peer_pools: 64,
            builds: true,
            scopes: 10_000_000,
        }
    }

    pub(crate) const fn quick() -> Self {
        Self {
            threads: Pace::new(3, 1_000),
            alone: Pace::new(3, 400),
            floods: Pace::new(1, 0),
            flood: 5_000,
            managers: 20_000,
            peer_pools: 4,
            builds: false,
            scopes: 200_000,
        }
    }
}

/// One way to do the work of a row.
pub(crate) struct Contender<'a> {
    name: String,
    size: Size,
    turn: Box<dyn FnMut(u64) -> f64 + 'a>,
}

enum Size {
    /// As many iterations as fill the turn.
    Calibrated,
    /// The turn decides by itself.
    Fixed,
}

impl<'a> Contender<'a> {
    /// `turn(n)` does the work `n` times and returns the nanoseconds of one.
    pub(crate) fn new(name: impl Into<String>, turn: impl FnMut(u64) -> f64 + 'a) -> Self {
        Self { name: name.into(), size: Size::Calibrated, turn: Box::new(turn) }
    }

    /// `turn()` does the work of one whole turn and returns the nanoseconds of one iteration.
    pub(crate) fn fixed(name: impl Into<String>, mut turn: impl FnMut() -> f64 + 'a) -> Self {
        Self { name: name.into(), size: Size::Fixed, turn: Box::new(move |_| turn()) }
    }

    /// Iterations that fill one turn, pauses included. Measuring it also warms the contender up.
    fn calibrate(&mut self, turn: Duration) -> u64 {
        if let Size::Fixed = self.size {
            (self.turn)(1);
            return 1;
        }
        let mut n = 1;
        loop {
            // The best of three: one disturbance would shorten every turn to come.
            let took = (0..3).map(|_| self.time(n)).min().unwrap_or_default();
            if took * 4 >= turn {
                let fill = turn.as_nanos() * u128::from(n) / took.as_nanos().max(1);
                return u64::try_from(fill).unwrap_or(n).max(4);
            }
            n *= 2;
        }
    }

    fn time(&mut self, n: u64) -> Duration {
        let start = Instant::now();
        (self.turn)(n);
        start.elapsed()
    }
}

/// The names of the contenders, each with its median.
pub(crate) type Medians = Vec<(String, f64)>;

/// Lets the contenders take their turns, one after the other, round by round.
pub(crate) fn contest(pace: Pace, mut contenders: Vec<Contender<'_>>) -> Medians {
    let Pace { rounds, turn } = pace;
    let sizes: Vec<u64> = contenders.iter_mut().map(|contender| contender.calibrate(turn)).collect();
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for _ in 0..rounds {
        for ((contender, &n), times) in contenders.iter_mut().zip(&sizes).zip(&mut times) {
            // The previous contender's threads go to sleep, or end, outside of any turn.
            sleep(Duration::from_millis(1));
            if let Size::Calibrated = contender.size {
                (contender.turn)(n.div_ceil(8));
            }
            times.push((contender.turn)(n));
        }
    }
    contenders.into_iter().zip(times).map(|(contender, mut times)| (contender.name, median(&mut times))).collect()
}

/// Does the work `n` times without a pause; the nanoseconds of one.
pub(crate) fn back_to_back(n: u64, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..n {
        work();
    }
    start.elapsed().as_nanos() as f64 / n as f64
}

/// Does the work `n` times, each after a pause that is not counted; the median nanoseconds of one.
pub(crate) fn apart(n: u64, pause: Duration, mut work: impl FnMut()) -> f64 {
    let once = |_| {
        sleep(pause);
        let start = Instant::now();
        work();
        start.elapsed().as_nanos() as f64
    };
    median(&mut (0..n).map(once).collect::<Vec<_>>())
}

/// The middle one; sorts.
pub(crate) fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    let middle = times.len() / 2;
    if times.len() % 2 == 1 { times[middle] } else { (times[middle - 1] + times[middle]) / 2.0 }
}
