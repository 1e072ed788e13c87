//! A row's promise, its measurement and the judgement.

/// The growth that a row may show.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Promise {
    /// The operation costs the same beside any number of other things.
    Constant,
    /// The operation handles all of the things, and one of them costs the same in any number.
    Linear,
}

impl Promise {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Linear => "linear",
        }
    }

    /// Returns the growth of these costs, by ascending size, and whether it breaks the promise.
    fn judge(self, costs: &[(usize, f64)]) -> (f64, bool) {
        match (self, costs) {
            (Self::Constant, [(_, first), .., (_, last)]) => (last / first, last / first > 2.0),
            (Self::Linear, costs) => {
                // Over two steps of ten.
                let growth = costs.windows(3).map(|three| three[2].1 / three[0].1).fold(0.0, f64::max);
                (growth, growth > 10.0)
            }
            _ => (1.0, false),
        }
    }
}

/// One operation before its measurement.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) promise: Promise,
    /// Larger sizes are left out: the row takes a thread for each thing, or the like.
    pub(crate) most: usize,
    /// Prepares so many things, and returns the nanoseconds of one operation, or of one thing of a linear row.
    pub(crate) run: fn(usize) -> f64,
}

/// A measured row.
pub(crate) struct Measured {
    pub(crate) row: Row,
    /// The nanoseconds at each size.
    pub(crate) costs: Vec<(usize, f64)>,
    /// For a constant row between the smallest and the largest size, for a linear one the largest for a hundred times as many.
    pub(crate) growth: f64,
    pub(crate) flagged: bool,
}

/// A flagged row is measured so often before it counts.
const ATTEMPTS: usize = 4;

/// Measures a row, the sizes in turns.
pub(crate) fn measure(row: Row, quick: bool) -> Measured {
    let (sizes, rounds): (&[usize], usize) = match (quick, row.promise) {
        (false, _) => (&[10, 100, 1_000, 10_000, 100_000], 3),
        (true, Promise::Constant) => (&[10, 10_000], 2),
        (true, Promise::Linear) => (&[100, 1_000, 10_000], 2),
    };
    let last = sizes.last().map_or(row.most, |last| row.most.min(*last));
    let smaller = sizes.iter().copied().filter(|size| *size < last);
    let mut costs: Vec<_> = smaller.chain([last]).map(|size| (size, f64::INFINITY)).collect();
    let (mut growth, mut flagged) = (1.0, true);
    eprint!("{}: ", row.name);
    for _ in 0..ATTEMPTS {
        for _ in 0..rounds {
            costs.iter_mut().for_each(|(size, cost)| *cost = cost.min((row.run)(*size)));
        }
        (growth, flagged) = row.promise.judge(&costs);
        if !flagged {
            break;
        }
    }
    eprintln!("{growth:.2}");
    Measured { row, costs, growth, flagged }
}
