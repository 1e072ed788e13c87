//! `heirloom-nats setup`: makes a queue with an operator's rights. `heirloom-nats depth`: counts a queue's jobs.

use std::process::ExitCode;
use std::time::Duration;

use heirloom_nats::{Connect, Nats, Storage};

const USAGE: &str = "\
Makes the queues of heirloom's remote pools on a NATS server.

usage:
  heirloom-nats setup --server URL --app APP --queue QUEUE --running N [--queued N] [options]
  heirloom-nats depth --server URL --app APP --queue QUEUE [options]

`setup` makes the queue, or changes the limits of the one that is there. `depth` prints its jobs.

  --running N           the most jobs at a time, over all workers
  --queued N            the most jobs that wait; without it there is no bound
  --storage memory|file where waiting jobs are kept; memory by default
  --replicas N          on how many servers of a cluster; 1 by default
  --lease SECONDS       the lease of the app's processes; 5 by default

  --creds FILE          credentials of `nsc` or `nats auth`
  --user NAME           a user; the password is the variable NATS_PASSWORD
  --nkey-file FILE      a file with the seed of an nkey
  --ca FILE             trusts the certificates of this PEM file
  --cert FILE --key FILE  this process's own certificate
  --without-tls         allows a connection without TLS to another machine
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() || arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match Asked::read(&arguments).and_then(|asked| asked.run()) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprintln!("heirloom-nats: {text}");
            ExitCode::FAILURE
        }
    }
}

/// The command line as it was read.
#[derive(Default)]
struct Asked {
    verb: String,
    options: Vec<(String, String)>,
}

/// The options that have a value, and the one that has none.
const WITH_VALUE: [&str; 14] = [
    "server",
    "app",
    "queue",
    "running",
    "queued",
    "storage",
    "replicas",
    "lease",
    "creds",
    "user",
    "nkey-file",
    "ca",
    "cert",
    "key",
];
const ALONE: &str = "without-tls";

impl Asked {
    fn read(arguments: &[String]) -> Result<Self, String> {
        let mut arguments = arguments.iter();
        let verb = arguments.next().cloned().unwrap_or_default();
        if verb != "setup" && verb != "depth" {
            return Err(format!("{verb:?} is no command; see `heirloom-nats --help`"));
        }
        let mut asked = Self { verb, ..Self::default() };
        while let Some(argument) = arguments.next() {
            let name = argument.strip_prefix("--").ok_or_else(|| format!("{argument:?} is no option"))?;
            let (name, value) =
                name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value.to_string())));
            let value = if name == ALONE {
                String::new()
            } else if WITH_VALUE.contains(&name) {
                value.or_else(|| arguments.next().cloned()).ok_or_else(|| format!("--{name} needs a value"))?
            } else {
                return Err(format!("--{name} is no option; see `heirloom-nats --help`"));
            };
            asked.options.push((name.into(), value));
        }
        Ok(asked)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn need(&self, name: &str) -> Result<&str, String> {
        self.get(name).ok_or_else(|| format!("--{name} is missing"))
    }

    fn number(&self, name: &str) -> Result<Option<usize>, String> {
        let read = |text: &str| text.parse().map_err(|_| format!("--{name} {text:?} is no number"));
        self.get(name).map(read).transpose()
    }

    fn run(&self) -> Result<String, String> {
        let queue = self.need("queue")?;
        if self.verb == "depth" {
            let depth = self.open()?.depth(queue).map_err(|fault| fault.to_string())?;
            return Ok(format!(
                "{queue}: {} wait, {} run, {} requests of workers",
                depth.queued, depth.running, depth.pulls
            ));
        }
        let running = self.number("running")?.filter(|running| *running > 0).ok_or("--running is missing, or 0")?;
        let queued = self.number("queued")?;
        self.open()?.set_up(queue, running, queued).map_err(|fault| fault.to_string())?;
        let bound = queued.map_or("without a bound of those that wait".into(), |queued| format!("{queued} may wait"));
        Ok(format!("{queue}: {running} jobs at a time, {bound}"))
    }

    fn open(&self) -> Result<Nats, String> {
        self.connect()?.open().map_err(|error| error.to_string())
    }

    fn connect(&self) -> Result<Connect, String> {
        let mut connect = heirloom_nats::connect(self.need("server")?).app(self.need("app")?);
        if let Some(storage) = self.get("storage") {
            connect = connect.storage(match storage {
                "memory" => Storage::Memory,
                "file" => Storage::File,
                other => return Err(format!("--storage {other:?} is neither `memory` nor `file`")),
            });
        }
        if let Some(replicas) = self.number("replicas")? {
            connect = connect.replicas(replicas);
        }
        if let Some(lease) = self.get("lease") {
            let seconds: f64 = lease.parse().map_err(|_| format!("--lease {lease:?} is no number of seconds"))?;
            let lease = Duration::try_from_secs_f64(seconds).map_err(|error| format!("--lease {lease:?}: {error}"))?;
            connect = connect.lease(lease);
        }
        if let Some(path) = self.get("creds") {
            connect = connect.credentials_file(path);
        }
        if let Some(name) = self.get("user") {
            let password = std::env::var("NATS_PASSWORD").map_err(|_| "the variable NATS_PASSWORD is not set")?;
            connect = connect.user(name, password);
        }
        if let Some(path) = self.get("nkey-file") {
            let seed =
                std::fs::read_to_string(path).map_err(|error| format!("the file {path} cannot be read: {error}"))?;
            connect = connect.nkey(seed);
        }
        if let Some(path) = self.get("ca") {
            connect = connect.root_certificates(path);
        }
        match (self.get("cert"), self.get("key")) {
            (Some(certificate), Some(key)) => connect = connect.client_certificate(certificate, key),
            (None, None) => {}
            _ => return Err("--cert and --key belong together".into()),
        }
        if self.get(ALONE).is_some() {
            connect = connect.without_tls();
        }
        Ok(connect)
    }
}
