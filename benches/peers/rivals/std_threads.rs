//! `std`: a thread per task, and the pool that people write by hand.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::answer::{Answer, Reply, answer};
use crate::suite::pool::{Pool, WORKERS, noop};

/// A thread per task. A flood would be as many threads at once, so no row measures one.
pub(crate) struct StdThread;

impl Pool for StdThread {
    const NAME: &'static str = "std::thread";

    fn start() -> Self {
        Self
    }

    fn round_trip(&self) {
        thread::spawn(noop).join().expect("the task ends well");
    }

    fn flood(&self, tasks: usize) {
        (0..tasks).for_each(|_| self.round_trip());
    }

    fn stop(self) {}
}

/// [`WORKERS`] threads that share one channel of boxed closures.
pub(crate) struct StdWorkers {
    tasks: Sender<Box<dyn FnOnce() + Send>>,
    threads: Vec<JoinHandle<()>>,
}

impl StdWorkers {
    fn submit(&self) -> Answer {
        let (reply, answer) = answer();
        self.tasks.send(task(reply)).expect("the workers run");
        answer
    }
}

fn task(reply: Reply) -> Box<dyn FnOnce() + Send> {
    Box::new(move || {
        noop();
        reply.give();
    })
}

fn work(tasks: &Mutex<Receiver<Box<dyn FnOnce() + Send>>>) {
    loop {
        let next = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(task) = next else { return };
        task();
    }
}

impl Pool for StdWorkers {
    const NAME: &'static str = "std threads and a channel";

    fn start() -> Self {
        let (tasks, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let worker = |_| {
            let receiver = Arc::clone(&receiver);
            thread::spawn(move || work(&receiver))
        };
        Self { tasks, threads: (0..WORKERS).map(worker).collect() }
    }

    fn round_trip(&self) {
        self.submit().wait();
    }

    fn flood(&self, tasks: usize) {
        let answers: Vec<Answer> = (0..tasks).map(|_| self.submit()).collect();
        answers.into_iter().for_each(Answer::wait);
    }

    fn stop(self) {
        drop(self.tasks);
        self.threads.into_iter().for_each(|thread| thread.join().expect("the worker ends well"));
    }
}
