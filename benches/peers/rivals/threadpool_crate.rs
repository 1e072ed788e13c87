//! threadpool: `execute` and a one-value channel.

use threadpool::ThreadPool;

use super::answer::{Answer, answer};
use crate::suite::pool::{Pool, WORKERS, noop};

pub(crate) struct Threadpool(ThreadPool);

impl Threadpool {
    fn submit(&self) -> Answer {
        let (reply, answer) = answer();
        self.0.execute(move || {
            noop();
            reply.give();
        });
        answer
    }
}

impl Pool for Threadpool {
    const NAME: &'static str = "threadpool";

    fn start() -> Self {
        Self(ThreadPool::new(WORKERS))
    }

    fn round_trip(&self) {
        self.submit().wait();
    }

    fn flood(&self, tasks: usize) {
        let answers: Vec<Answer> = (0..tasks).map(|_| self.submit()).collect();
        answers.into_iter().for_each(Answer::wait);
    }

    fn stop(self) {
        // Waits until the tasks have ended; the threads end some time after the drop.
        self.0.join();
    }
}
