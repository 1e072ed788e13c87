//! Remote pools of heirloom over a real server: an origin and a worker, each with a connection of its own.

#[allow(dead_code, unreachable_pub, reason = "each test program uses a part of the helpers")]
#[path = "common/mod.rs"]
mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::LONG;
use common::end::{CALM, LEASE};
use common::server::Server;
use heirloom::remote::{self, Job, Serving, ServingState};
use heirloom::{PoolConfig, PoolManager, Scope};
use heirloom_nats::Nats;
use serde::{Deserialize, Serialize};

/// Sleeps in steps, and returns its number. Its begins and ends are counted below.
#[derive(Serialize, Deserialize)]
struct Nap {
    number: usize,
    millis: u64,
}

static BEGUN: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];
static CANCELLED: AtomicUsize = AtomicUsize::new(0);

impl Job for Nap {
    const NAME: &'static str = "nap";
    type Output = usize;

    fn run(self) -> usize {
        BEGUN[self.number].fetch_add(1, Ordering::SeqCst);
        if heirloom::sleep(Duration::from_millis(self.millis)).is_err() {
            CANCELLED.fetch_add(1, Ordering::SeqCst);
        }
        self.number
    }
}

fn open(server: &Server) -> Nats {
    heirloom_nats::connect(server.url()).app("shop").lease(CALM).open().expect("a connection")
}

fn serve(nats: &Nats, name: &'static str, permits: usize) -> (PoolManager, Serving) {
    let here = heirloom::create(name);
    here.start(PoolConfig::leased(permits)).expect("a pool");
    let serving = remote::serve(nats.queue("naps"), &here).job::<Nap>().start().expect("a serving");
    (here, serving)
}

#[test]
fn a_serving_is_ready_while_the_server_and_its_queue_are_there() {
    let Some(mut server) = Server::plain() else { return };
    let (origin, worker) = (open(&server), open(&server));
    let (_here, serving) = serve(&worker, "ready-here", 1);
    assert!(!serving.wait_ready_timeout(Duration::from_millis(200)).expect("no refusal"), "the queue is not there");
    assert_eq!(serving.state(), ServingState::Connecting);
    let pool = heirloom::create("ready");
    pool.start(PoolConfig::remote(1, origin.queue("naps"))).expect("a remote pool");
    assert!(serving.wait_ready_timeout(LONG).expect("no refusal"));
    server.kill();
    let until = Instant::now() + LONG;
    while serving.state() != ServingState::Disconnected {
        assert!(Instant::now() < until, "the loss is known");
        std::thread::sleep(Duration::from_millis(1));
    }
    server.start();
    // The origin makes the queue again.
    assert!(serving.wait_ready_timeout(LONG).expect("no refusal"));
    assert_eq!(pool.send(Nap { number: 63, millis: 0 }).expect("sent").join().expect("a result"), 63);
    serving.close();
    assert!(!serving.wait_ready().expect("no refusal"));
}

#[test]
fn a_serving_waits_for_a_queue_that_an_operator_deletes_and_makes_again() {
    let Some(server) = Server::plain() else { return };
    let connect = || heirloom_nats::connect(server.url()).app("shop").lease(LEASE).open().expect("a connection");
    // A process that has set up the queue makes it again, until it is closed.
    let set_up = || assert!(connect().set_up("naps", 4, None).is_ok());
    set_up();
    let worker = connect();
    let (_here, serving) = serve(&worker, "deleted-here", 1);
    assert!(serving.wait_ready_timeout(LONG).expect("no refusal"));
    server.delete_stream("hl=shop=naps");
    let until = Instant::now() + LONG;
    while serving.state() != ServingState::Disconnected {
        assert!(Instant::now() < until, "the loss is known");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(!serving.wait_ready_timeout(LEASE / 3).expect("no refusal"), "the queue is away");
    set_up();
    assert!(serving.wait_ready_timeout(LONG).expect("no refusal"));
    let pool = heirloom::create("deleted");
    pool.start(PoolConfig::remote(4, connect().queue("naps"))).expect("a remote pool");
    assert_eq!(pool.send(Nap { number: 62, millis: 0 }).expect("sent").join().expect("a result"), 62);
}

/// One test, since its jobs are counted in statics: results, a cancel, and jobs over three deaths of the server.
#[test]
fn jobs_end_once_with_their_results_over_cancels_and_deaths_of_the_server() {
    let Some(mut server) = Server::plain() else { return };
    let (origin, worker) = (open(&server), open(&server));
    let naps = heirloom::create("naps");
    naps.start(PoolConfig::remote(8, origin.queue("naps"))).expect("a remote pool");
    let (_here, serving) = serve(&worker, "naps-here", 8);
    assert_eq!(naps.send(Nap { number: 0, millis: 0 }).expect("sent").join().expect("a result"), 0);

    let scope = Scope::new("request");
    let long = scope.run(|| naps.send(Nap { number: 1, millis: 60_000 })).expect("sent");
    let until = Instant::now() + LONG;
    while BEGUN[1].load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < until, "the job begins");
        std::thread::sleep(Duration::from_millis(1));
    }
    scope.cancel();
    drop(long);
    while CANCELLED.load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < until, "the job sees the cancel");
        std::thread::sleep(Duration::from_millis(1));
    }

    let handles: Vec<_> = (2..62).map(|number| naps.send(Nap { number, millis: 30 }).expect("sent")).collect();
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(40));
        server.kill();
        server.start();
    }
    for (index, handle) in handles.into_iter().enumerate() {
        let joined = handle.join_timeout(LONG);
        match joined {
            Ok(Ok(number)) => assert_eq!(number, index + 2),
            other => panic!("job {}: {other:?}", index + 2),
        }
    }
    assert!(BEGUN[2..62].iter().all(|begun| begun.load(Ordering::SeqCst) == 1), "{BEGUN:?}");
    assert!(serving.stop().expect("the serving stops").is_complete());
    assert!(naps.stop().expect("the pool stops").is_complete());
    assert!(worker.close(LONG) && origin.close(LONG));
}
