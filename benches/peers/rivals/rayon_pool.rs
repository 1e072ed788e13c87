//! rayon: `spawn` and a one-value channel for a flood, `install` for a round trip.

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::answer::{Answer, answer};
use crate::suite::pool::{Pool, WORKERS, noop};

pub(crate) struct Rayon(ThreadPool);

impl Pool for Rayon {
    const NAME: &'static str = "rayon";

    fn start() -> Self {
        Self(ThreadPoolBuilder::new().num_threads(WORKERS).build().expect("a pool"))
    }

    fn round_trip(&self) {
        self.0.install(noop);
    }

    fn flood(&self, tasks: usize) {
        let submit = |_| {
            let (reply, answer) = answer();
            self.0.spawn(move || {
                noop();
                reply.give();
            });
            answer
        };
        let answers: Vec<Answer> = (0..tasks).map(submit).collect();
        answers.into_iter().for_each(Answer::wait);
    }

    fn stop(self) {
        // Tells the workers to end and does not wait for it: rayon offers nothing else.
        drop(self.0);
    }
}
