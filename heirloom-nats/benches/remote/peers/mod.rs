//! [`Peers`]: other ways to send a job and to get its result. Each one is a program of its own, of `benches/peers`.

mod build;
mod program;
mod redis;

use std::cell::RefCell;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use self::program::Program;
use self::redis::Redis;

/// What a peer needs, as a program of `benches/peers`.
enum Part {
    /// An argument of the program in Rust.
    Rust(&'static str),
    /// A script.
    Python(&'static str),
}

const PEERS: [(&str, Part); 5] = [
    (TONIC, Part::Rust("tonic")),
    ("apalis and Redis, its own wait", Part::Rust("apalis")),
    ("apalis and Redis, polled each ms", Part::Rust("apalis-polled")),
    (CELERY, Part::Python("celery_peer.py")),
    ("rq", Part::Python("rq_peer.py")),
];
const TONIC: &str = "tonic, unary call";
pub(crate) const CELERY: &str = "celery and Redis";

/// The peers that could be started, and the reasons of the others.
pub(crate) struct Peers {
    // Before the server that its program uses.
    peers: Vec<Peer>,
    _redis: Option<Redis>,
}

/// One peer.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    program: RefCell<Result<Program, String>>,
}

impl Peers {
    /// Returns no peer.
    pub(crate) fn none() -> Self {
        Self { peers: Vec::new(), _redis: None }
    }

    /// Builds, installs and starts them.
    pub(crate) fn start() -> Self {
        let redis = Redis::start();
        let rust = build::rust();
        let python = build::python();
        let peers = PEERS.map(|(name, part)| {
            let program = start(&part, rust.as_deref(), python.as_deref(), redis.as_ref());
            Peer { name, program: RefCell::new(program) }
        });
        Self { peers: peers.into(), _redis: redis.ok() }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter()
    }
}

impl Peer {
    /// Has so many jobs of so many bytes sent together, and returns the time until all results were there.
    pub(crate) fn turn(&self, size: usize, count: usize) -> Result<Duration, String> {
        let mut program = self.program.borrow_mut();
        let turn = program.as_mut().map_err(|why| why.clone())?.turn(size, count);
        if let Err(why) = &turn {
            *program = Err(why.clone());
        }
        turn
    }
}

fn start(
    part: &Part,
    rust: Result<&Path, &String>,
    python: Result<&Path, &String>,
    redis: Result<&Redis, &String>,
) -> Result<Program, String> {
    let command = match *part {
        Part::Rust("tonic") => {
            let mut command = Command::new(rust.cloned_error()?);
            command.arg("tonic");
            command
        }
        Part::Rust(argument) => {
            let mut command = Command::new(rust.cloned_error()?);
            command.args([argument, &redis.cloned_error()?.url()]);
            command
        }
        Part::Python(script) => {
            let folder = build::folder().join("python");
            let mut command = Command::new(build::PYTHON);
            command.arg(folder.join(script));
            command.env("PYTHONPATH", python.cloned_error()?).env("BENCH_REDIS", redis.cloned_error()?.url());
            command
        }
    };
    Program::start(command)
}

/// An error that several peers have.
trait ClonedError<T> {
    fn cloned_error(self) -> Result<T, String>;
}

impl<T> ClonedError<T> for Result<T, &String> {
    fn cloned_error(self) -> Result<T, String> {
        self.map_err(String::clone)
    }
}
