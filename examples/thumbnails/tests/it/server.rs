//! The program as a child process, and requests to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::answer::Answer;

/// More time than any test takes on a busy machine.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// The program, which is ended by its drop.
pub(crate) struct Program {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Program {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thumbnails"));
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, stdout }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("text");
        line
    }

    /// Waits for the program's end. Returns the rest of its output, and its success.
    pub(crate) fn end(mut self) -> (String, bool) {
        let until = Instant::now() + BOUND;
        while self.child.try_wait().expect("a child can be waited for").is_none() {
            assert!(Instant::now() < until, "the program does not end");
            thread::sleep(Duration::from_millis(5));
        }
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).expect("text");
        (said, self.child.wait().expect("it has ended").success())
    }

    fn terminate(&self) {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status().expect("there is a kill");
        assert!(sent.success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return;
        }
        // In order at first: with a broker it has children of its own.
        self.terminate();
        let until = Instant::now() + Duration::from_secs(10);
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server and its workers in one process, without clients of their own.
pub(crate) struct Server {
    program: Program,
    address: String,
    /// The workers' own pages of the inspector, with a broker.
    pub(crate) workers: Vec<String>,
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut program = Program::start(&[&["--clients", "0", "--stay"], arguments].concat());
        let address = address_in(&program.line());
        let mut workers = Vec::new();
        if arguments.contains(&"--broker") {
            program.line(); // the broker's own
            workers.extend([address_in(&program.line()), address_in(&program.line())]);
        }
        Self { program, address, workers }
    }

    pub(crate) fn send(&self, path: &str, headers: &[(&str, &str)]) -> TcpStream {
        send(&self.address, path, headers)
    }

    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        read(self.send(path, headers))
    }

    pub(crate) fn family(&self) -> Family {
        Family::of(&self.address)
    }

    /// Returns the server's family as soon as it holds.
    pub(crate) fn eventually(&self, what: &str, holds: impl Fn(&Family) -> bool) -> Family {
        eventually(what, || Some(self.family()).filter(&holds))
    }

    /// Sends SIGTERM. Returns the program's output, and its success.
    pub(crate) fn terminate(self) -> (String, bool) {
        self.program.terminate();
        self.program.end()
    }
}

fn address_in(line: &str) -> String {
    line.split(&['/', ','][..]).nth(2).unwrap_or_else(|| panic!("no address in {line:?}")).trim().to_string()
}

fn send(to: &str, path: &str, headers: &[(&str, &str)]) -> TcpStream {
    let mut client = TcpStream::connect(to).expect("the server accepts");
    client.set_read_timeout(Some(BOUND)).expect("a bound");
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(client, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n").expect("sent");
    client
}

fn read(mut client: TcpStream) -> Answer {
    let mut text = String::new();
    client.read_to_string(&mut text).expect("an answer");
    Answer::read(&text).expect("a whole answer")
}

/// Asks until there is an answer.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + BOUND / 2;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "never came true: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A family, as the inspector's page gets it.
pub(crate) struct Family(Value);

impl Family {
    pub(crate) fn of(address: &str) -> Self {
        let answer = read(send(address, "/heirloom/snapshot", &[]));
        Self(serde_json::from_str(&answer.body).expect("JSON"))
    }

    fn nodes(&self) -> impl Iterator<Item = &Value> {
        self.0["nodes"].as_array().into_iter().flatten()
    }

    /// Returns a number of all managers of that name, such as the running tasks.
    pub(crate) fn sum(&self, manager: &str, number: &str) -> u64 {
        let managers = self.nodes().flat_map(|node| node["managers"].as_array().into_iter().flatten());
        managers.filter(|is| is["namespace"] == manager).map(|is| is[number].as_u64().unwrap_or_default()).sum()
    }

    /// Returns the names of the first node of which `found` holds, and of the nodes above it, up to the process.
    pub(crate) fn path(&self, found: impl Fn(&str) -> bool) -> Option<Vec<String>> {
        let name = |node: &Value| node["name"].as_str().unwrap_or_default().to_string();
        let mut node = self.nodes().find(|node| found(&name(node)))?;
        let mut path = vec![name(node)];
        while let Some(above) = self.nodes().find(|above| above["id"] == node["parent"]) {
            node = above;
            path.push(name(node));
        }
        Some(path)
    }

    /// Returns how many scopes of requests there are, at the server and at its workers.
    pub(crate) fn requests(&self) -> usize {
        self.nodes().filter(|node| node["name"].as_str().is_some_and(|name| name.starts_with("GET "))).count()
    }
}
