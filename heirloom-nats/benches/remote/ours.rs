//! [`Ours`]: an origin and a worker of heirloom, in this process; and a worker in a process of its own.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use heirloom::remote::{self, Job};
use heirloom::{PoolConfig, PoolManager, Scope};
use heirloom_nats::Nats;

use crate::jobs::{Echo, EchoAgain, Sleep};

/// Tells a child process which server its worker connects to.
const CHILD: &str = "HEIRLOOM_NATS_BENCH_WORKER";

/// An origin and a worker with a connection each.
pub(crate) struct Ours {
    pub(crate) scope: Scope,
    pub(crate) pool: PoolManager,
    serving: remote::Serving,
    _origin: Nats,
    _worker: Nats,
}

impl Ours {
    pub(crate) fn start(url: &str) -> Self {
        let (origin, worker) = (open(url), open(url));
        let scope = Scope::new("bench");
        let pool = scope.create("remote");
        pool.start(PoolConfig::remote(256, origin.queue("bench"))).expect("starts");
        let serving = serve(&worker, "here", 128);
        Self { scope, pool, serving, _origin: origin, _worker: worker }
    }

    /// Sends so many jobs, then joins each in turn.
    pub(crate) fn jobs<J: Job<Output = usize>>(&self, count: usize, make: impl Fn() -> J) {
        let sent: Vec<_> = (0..count).map(|_| self.pool.send(make()).expect("accepted")).collect();
        assert!(sent.into_iter().all(|task| task.join().is_ok()));
    }

    /// Ends the worker in this process.
    pub(crate) fn stop_serving(&self) {
        drop(self.serving.stop());
    }
}

fn open(url: &str) -> Nats {
    heirloom_nats::connect(url).app("bench").lease(Duration::from_secs(2)).open().expect("a connection")
}

fn serve(nats: &Nats, name: &'static str, permits: usize) -> remote::Serving {
    let here = heirloom::create(name);
    here.start(PoolConfig::leased(permits)).expect("starts");
    let serve = remote::serve(nats.queue("bench"), &here).job::<Echo>().job::<EchoAgain>().job::<Sleep>();
    serve.start().expect("serves")
}

/// Starts this program as a worker in a process of its own.
pub(crate) fn start_child(url: &str) -> Child {
    let program = std::env::current_exe().expect("this program");
    Command::new(program).env(CHILD, url).stdout(Stdio::null()).spawn().expect("a process")
}

pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// The child's half.
pub(crate) fn serve_for_ever() -> ! {
    let nats = open(&std::env::var(CHILD).expect("the server's address"));
    let _serving = serve(&nats, "child", 4);
    loop {
        std::thread::park();
    }
}
