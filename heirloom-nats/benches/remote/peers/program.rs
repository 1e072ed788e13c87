//! [`Program`]: a peer's process, which has its turns by lines.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// The most that a start, or a turn, may take.
const WITHIN: Duration = Duration::from_secs(60);
/// The time in which the program ends its own workers.
const END: Duration = Duration::from_secs(10);

/// A peer's process. A drop ends its input, and with it the process.
pub(super) struct Program {
    child: Child,
    /// `None` at the end.
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Program {
    /// Starts the program, and waits until it is ready.
    pub(super) fn start(mut command: Command) -> Result<Self, String> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| format!("it does not start: {error}"))?;
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let program = Self { input: child.stdin.take(), child, lines };
        match program.line()?.as_str() {
            "ready" => Ok(program),
            other => Err(format!("it says {other:?}, and not that it is ready")),
        }
    }

    pub(super) fn turn(&mut self, size: usize, count: usize) -> Result<Duration, String> {
        let input = self.input.as_mut().expect("open until the drop");
        writeln!(input, "{size} {count}").map_err(|error| format!("it has ended: {error}"))?;
        let nanos = self.line()?;
        nanos.parse().map(Duration::from_nanos).map_err(|_| format!("it says {nanos:?}, and not a time"))
    }

    fn line(&self) -> Result<String, String> {
        self.lines.recv_timeout(WITHIN).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("it says nothing for {WITHIN:?}"),
            RecvTimeoutError::Disconnected => "it has ended".into(),
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.input.take());
        let until = Instant::now() + END;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
