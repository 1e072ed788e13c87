//! [`End`]: one process's end of the engine, with an inbox that keeps what comes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use heirloom::remote::engine::{
    Answer, Bytes, Delivery, Depth, Engine, Envelope, Fault, Inbox, QueueLimits, Receipt, Settlement,
};
use heirloom::remote::{JobId, ProcessId};
use heirloom_nats::Connect;

use crate::common::LONG;

/// The lease of a test in which one ends.
pub const LEASE: Duration = Duration::from_millis(600);
/// The lease of a test in which none ends: a process that the system lets wait for so long is not noticed as a stopped one.
pub const CALM: Duration = Duration::from_secs(30);

/// One process's end of the engine.
pub struct End {
    pub me: ProcessId,
    pub engine: Box<dyn Engine>,
    deliveries: Mutex<Receiver<Delivery>>,
    broadcasts: Mutex<Receiver<(ProcessId, Bytes)>>,
    connected: Mutex<Receiver<bool>>,
    absent: Mutex<Receiver<String>>,
}

struct Kept {
    deliveries: Mutex<Sender<Delivery>>,
    broadcasts: Mutex<Sender<(ProcessId, Bytes)>>,
    connected: Mutex<Sender<bool>>,
    absent: Mutex<Sender<String>>,
}

impl Inbox for Kept {
    /// Answers with the request and its sender. A request `silence` gets no answer.
    fn requested(&self, from: &ProcessId, message: Bytes, answer: Answer<Bytes>) {
        if &message[..] != b"silence" {
            answer.give(Ok(format!("{} of {from}", String::from_utf8_lossy(&message)).into()));
        }
    }

    fn broadcast(&self, origin: &ProcessId, message: Bytes) {
        let _ = self.broadcasts.lock().unwrap().send((origin.clone(), message));
    }

    fn delivered(&self, delivery: Delivery) {
        let _ = self.deliveries.lock().unwrap().send(delivery);
    }

    fn connected(&self, connected: bool) {
        let _ = self.connected.lock().unwrap().send(connected);
    }

    fn absent(&self, queue: &str) {
        let _ = self.absent.lock().unwrap().send(queue.into());
    }
}

/// Returns the limits of a queue.
#[must_use]
pub fn limits(running: usize, queued: Option<usize>) -> Option<QueueLimits> {
    Some(QueueLimits { running, queued })
}

impl End {
    /// Opens a connection to the address, for a test in which no lease ends.
    #[must_use]
    pub fn open(url: &str) -> Self {
        Self::of(heirloom_nats::connect(url))
    }

    /// Opens a connection to the address, for a test in which a lease ends.
    #[must_use]
    pub fn leased(url: &str, lease: Duration) -> Self {
        Self::with_lease(heirloom_nats::connect(url), lease)
    }

    /// Opens a connection with the app of the tests, for a test in which no lease ends.
    #[must_use]
    pub fn of(connect: Connect) -> Self {
        Self::with_lease(connect, CALM)
    }

    #[must_use]
    pub fn with_lease(connect: Connect, lease: Duration) -> Self {
        let engine =
            connect.app("shop").lease(lease).timeout(LONG).open_engine().unwrap_or_else(|error| panic!("{error}"));
        let (delivery, deliveries) = mpsc::channel();
        let (cast, broadcasts) = mpsc::channel();
        let (connect, connected) = mpsc::channel();
        let (miss, absent) = mpsc::channel();
        let me = ProcessId::unique();
        let kept = Kept {
            deliveries: Mutex::new(delivery),
            broadcasts: Mutex::new(cast),
            connected: Mutex::new(connect),
            absent: Mutex::new(miss),
        };
        engine.open(&me, Arc::new(kept));
        let end = Self {
            me,
            engine,
            deliveries: Mutex::new(deliveries),
            broadcasts: Mutex::new(broadcasts),
            connected: Mutex::new(connected),
            absent: Mutex::new(absent),
        };
        end.wait_connected(true);
        end
    }

    /// Waits until the inbox is told this.
    pub fn wait_connected(&self, connected: bool) {
        let receiver = self.connected.lock().unwrap();
        while receiver.recv_timeout(LONG).expect("the inbox is told of the connection") != connected {}
    }

    /// Returns the next change of the connection of which the inbox is notified.
    #[must_use]
    pub fn change_within(&self, time: Duration) -> Option<bool> {
        receive(&self.connected, time)
    }

    /// Waits until the inbox is notified that a queue is not there any more. Returns the queue's name.
    #[must_use]
    pub fn absent_within(&self, time: Duration) -> Option<String> {
        receive(&self.absent, time)
    }

    pub fn declare(&self, queue: &str, limits: Option<QueueLimits>) -> Result<(), Fault> {
        wait(|answer| self.engine.declare(queue, limits, answer))
    }

    /// Makes a job with this text as its body.
    #[must_use]
    pub fn job(&self, text: &str) -> Envelope {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = JobId { origin: self.me.clone(), number: NEXT.fetch_add(1, Ordering::Relaxed) };
        Envelope::plain(id, "test", Bytes::copy_from_slice(text.as_bytes()))
    }

    pub fn publish(&self, queue: &str, job: &Envelope) -> Result<Receipt, Fault> {
        wait(|answer| self.engine.publish(queue, job, answer))
    }

    /// Publishes a job with this text.
    pub fn send(&self, queue: &str, text: &str) -> Receipt {
        self.publish(queue, &self.job(text)).expect("the job is published")
    }

    pub fn request(&self, to: &ProcessId, message: &str, within: Duration) -> Result<Bytes, Fault> {
        let message = Bytes::copy_from_slice(message.as_bytes());
        wait(|answer| self.engine.request(to, message, within, answer))
    }

    pub fn list(&self, queue: &str) -> Result<Vec<u64>, Fault> {
        wait(|answer| self.engine.list(queue, answer))
    }

    pub fn depth(&self, queue: &str) -> Result<Depth, Fault> {
        wait(|answer| self.engine.depth(queue, answer))
    }

    /// Waits until the queue has these jobs.
    pub fn wait_depth(&self, queue: &str, is: impl Fn(Depth) -> bool) {
        let end = std::time::Instant::now() + LONG;
        loop {
            let depth = self.depth(queue);
            if depth.as_ref().is_ok_and(|depth| is(*depth)) {
                return;
            }
            assert!(std::time::Instant::now() < end, "the queue has {depth:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the next delivery.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        self.delivery_within(LONG).expect("a job is delivered")
    }

    #[must_use]
    pub fn delivery_within(&self, time: Duration) -> Option<Delivery> {
        receive(&self.deliveries, time)
    }

    #[must_use]
    pub fn broadcast_within(&self, time: Duration) -> Option<(ProcessId, Bytes)> {
        receive(&self.broadcasts, time)
    }

    pub fn done(&self, delivery: &Delivery) {
        self.engine.settle(delivery.id, Settlement::Done);
    }
}

fn receive<T>(receiver: &Mutex<Receiver<T>>, time: Duration) -> Option<T> {
    match receiver.lock().unwrap().recv_timeout(time) {
        Ok(value) => Some(value),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => panic!("the engine has dropped the inbox"),
    }
}

/// Returns the text of a delivered job.
#[must_use]
pub fn text(delivery: &Delivery) -> String {
    String::from_utf8_lossy(&delivery.body).into_owned()
}

/// Waits for an answer of the engine.
pub fn wait<T: Send + 'static>(call: impl FnOnce(Answer<T>)) -> Result<T, Fault> {
    let (sender, receiver) = mpsc::channel();
    call(Answer::new(move |outcome| drop(sender.send(outcome))));
    receiver.recv_timeout(LONG).expect("the engine answers")
}
