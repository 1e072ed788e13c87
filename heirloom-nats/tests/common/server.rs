//! [`Server`]: a real `nats-server` on a free port, for a test to kill, pause and start again.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::common::LONG;

/// A running server. A drop kills it and removes its folder.
pub struct Server {
    program: PathBuf,
    port: u16,
    /// Keeps the port from the servers of other test programs, also while this server is away.
    _reserved: UdpSocket,
    folder: PathBuf,
    child: Option<Child>,
}

/// How to start a server.
#[derive(Default)]
pub struct Setup {
    program: Option<PathBuf>,
    config: String,
}

impl Setup {
    /// Uses this server instead of the first one of [`programs`].
    #[must_use]
    pub fn program(mut self, program: &Path) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Adds lines to the server's configuration, which has its port and JetStream already.
    #[must_use]
    pub fn config(mut self, lines: &str) -> Self {
        self.config.push_str(lines);
        self.config.push('\n');
        self
    }

    /// Starts the server, and waits until it answers. Returns `None`, and says so, on a machine that has no server.
    #[must_use]
    pub fn start(self) -> Option<Server> {
        let Some(program) = self.program.or_else(|| programs().into_iter().next()) else {
            eprintln!("SKIPPED: no nats-server; install it, or set NATS_SERVER to its path");
            return None;
        };
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("heirloom-nats-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder for the server");
        let (port, reserved) = free_port();
        let store = folder.join("store");
        let config = format!(
            "host: 127.0.0.1\nport: {port}\njetstream {{ store_dir: \"{}\" }}\n{}",
            store.display(),
            self.config.replace("FOLDER", &folder.display().to_string())
        );
        std::fs::write(folder.join("server.conf"), config).expect("the server's configuration");
        let mut server = Server { program, port, _reserved: reserved, folder, child: None };
        server.start();
        Some(server)
    }
}

impl Server {
    /// Starts the first server of [`programs`], with JetStream and nothing else.
    #[must_use]
    pub fn plain() -> Option<Self> {
        Setup::default().start()
    }

    /// Returns the address, as `connect` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Returns the port on the loopback address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the id of the server's process, unless it is killed.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Returns the folder with the server's configuration, log and store.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kills the server with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts the server again on the same port, with the same store, after a [`kill`](Self::kill).
    ///
    /// # Panics
    /// When the server does not answer in time.
    pub fn start(&mut self) {
        let log = self.folder.join("server.log");
        let child = Command::new(&self.program)
            .arg("-c")
            .arg(self.folder.join("server.conf"))
            .arg("-l")
            .arg(&log)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.expect("the server starts"));
        let end = Instant::now() + LONG;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        while TcpStream::connect_timeout(&address, Duration::from_millis(100)).is_err() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() || Instant::now() > end {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                panic!("the server does not answer on {address}: {ended:?}\n{log}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
        assert!(ended.is_none(), "another server has the port {address}");
    }

    /// Stops the server's process with SIGSTOP, and waits until all its threads stand: its connections stay open and silent.
    pub fn pause(&self) {
        self.signal("-STOP");
        #[cfg(unix)]
        if let Some(child) = &self.child {
            let (pid, mut status) = (libc::pid_t::try_from(child.id()).expect("a pid"), 0);
            // SAFETY: the process is a child of this one, and `status` is valid for the call.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, libc::WUNTRACED) }, pid);
            assert!(libc::WIFSTOPPED(status), "the server has ended: {status}");
        }
    }

    /// Lets a paused server go on.
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    /// Returns the server's log.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("server.log")).unwrap_or_default()
    }

    /// Replaces the lines that [`Setup::config`] added, in the running server.
    ///
    /// # Panics
    /// When the server's configuration cannot be written.
    pub fn reload(&self, lines: &str) {
        let file = self.folder.join("server.conf");
        let config = std::fs::read_to_string(&file).expect("the server's configuration");
        let own: Vec<&str> = config.lines().take(3).collect();
        std::fs::write(&file, format!("{}\n{lines}\n", own.join("\n"))).expect("the server's configuration");
        self.signal("-HUP");
    }

    /// Deletes a stream as an operator does, over a connection in plain text.
    ///
    /// # Panics
    /// When the server does not say that it has.
    pub fn delete_stream(&self, stream: &str) {
        let answer = self.ask(&format!("$JS.API.STREAM.DELETE.{stream}"), "");
        assert!(answer.contains("\"success\":true"), "{answer}");
    }

    /// Sends a request over a connection in plain text. Returns the answer, which is one line.
    ///
    /// # Panics
    /// When no answer comes.
    #[must_use]
    pub fn ask(&self, subject: &str, body: &str) -> String {
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("a connection");
        socket.set_read_timeout(Some(LONG)).expect("a time");
        let (mut writer, length) = (&socket, body.len());
        write!(writer, "CONNECT {{\"verbose\":false}}\r\nSUB reply 1\r\nPUB {subject} reply {length}\r\n{body}\r\n")
            .expect("sent");
        let lines = BufReader::new(&socket).lines().map_while(Result::ok);
        lines.skip_while(|line| !line.starts_with("MSG reply ")).nth(1).expect("an answer")
    }

    fn signal(&self, signal: &str) {
        if let Some(child) = &self.child {
            let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
            assert!(sent.is_ok_and(|status| status.success()), "the signal {signal} is sent");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Returns a port that no other call gets, in this test program or another one, while the UDP socket of the same number lives.
///
/// It is below the ports that the system gives to connections: those would take it while the server is away, and a client that
/// connects to its own port again and again would in the end reach itself.
fn free_port() -> (u16, UdpSocket) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(97);
    loop {
        let number = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 15_000;
        let port = 15_000 + u16::try_from(number).unwrap_or(0);
        let Ok(reserved) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) else { continue };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return (port, reserved);
        }
    }
}

/// Returns the servers of this machine: those of the list `NATS_SERVER`, or else the one of `PATH` or of `/usr/sbin`.
#[must_use]
pub fn programs() -> Vec<PathBuf> {
    if let Some(list) = std::env::var_os("NATS_SERVER") {
        return std::env::split_paths(&list).filter(|program| program.is_file()).collect();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("nats-server")).find(|program| program.is_file()).into_iter().collect()
}

/// Returns a port that no other call gets until the end of this program.
#[must_use]
pub fn lasting_port() -> u16 {
    let (port, reserved) = free_port();
    std::mem::forget(reserved);
    port
}
