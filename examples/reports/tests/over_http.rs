//! Tests of the server as a process of its own, over real connections.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// More time than any test takes on a busy machine.
const BOUND: Duration = Duration::from_secs(60);

struct Server {
    child: Child,
    address: String,
    stdout: BufReader<ChildStdout>,
    log: Arc<Mutex<String>>,
    database: PathBuf,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(connections: usize, limit: f64, grace: f64) -> Server {
        Self::with("acme,globex", 20_000, connections, limit, grace)
    }

    fn with(tenants: &str, orders: u32, connections: usize, limit: f64, grace: f64) -> Server {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("reports.sqlite");
        let mut child = Command::new(env!("CARGO_BIN_EXE_reports"))
            .args(["--listen", "127.0.0.1:0", "--tenants", tenants, "--orders", &orders.to_string(), "--database"])
            .arg(&database)
            .args(["--connections", &connections.to_string()])
            .args(["--limit", &limit.to_string(), "--grace", &grace.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let log = Arc::new(Mutex::new(String::new()));
        let (kept, lines) = (log.clone(), BufReader::new(child.stderr.take().expect("piped")));
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut kept = kept.lock().expect("no panic holds it");
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let mut first = String::new();
        stdout.read_line(&mut first).expect("the server says where it listens");
        let address = first.trim().rsplit('/').next().expect("an address").to_string();
        Server { child, address, stdout, log, database, _folder: folder }
    }

    fn send(&self, path: &str, header: &str) -> TcpStream {
        let mut client = TcpStream::connect(&self.address).expect("the server accepts");
        client.set_read_timeout(Some(BOUND)).expect("a bound");
        write!(client, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{header}\r\n").expect("sent");
        client
    }

    /// Returns the status and the whole answer.
    fn get(&self, path: &str) -> (u16, String) {
        answer(self.send(path, ""))
    }

    fn eventually(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let until = Instant::now() + BOUND / 2;
        while !holds(self) {
            assert!(Instant::now() < until, "never came true: {what}\n{}", self.get("/family").1);
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns the number of open requests' scopes. The request to `/family` has none.
    fn requests(&self) -> usize {
        self.get("/family").1.lines().filter(|line| line.contains("scope \"GET ")).count()
    }

    /// Returns the `db` pool's gauge of that name.
    fn gauge(&self, name: &str) -> u64 {
        let text = self.get("/metrics").1;
        let row = text.lines().find(|line| line.starts_with(name) && line.contains("\"db\""));
        row.and_then(|row| row.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("no {name} of db in {text}"))
    }

    /// Returns the number of the server's open files that are the database: one for each connection.
    fn connections(&self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs");
        files.flatten().filter(|file| std::fs::read_link(file.path()).is_ok_and(|to| to == self.database)).count()
    }

    /// Sends SIGTERM and waits for the end. Returns the time it took, the server's output, and its success.
    fn terminate(mut self) -> (Duration, String, bool) {
        let asked = Instant::now();
        let sent = Command::new("kill").arg(self.child.id().to_string()).status().expect("there is a kill");
        assert!(sent.success());
        while self.child.try_wait().expect("a child can be waited for").is_none() {
            assert!(asked.elapsed() < BOUND, "the server does not end");
            thread::sleep(Duration::from_millis(5));
        }
        let took = asked.elapsed();
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).expect("text");
        (took, said, self.child.wait().expect("it has ended").success())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answer(mut client: TcpStream) -> (u16, String) {
    let mut text = Vec::new();
    let _ = client.read_to_end(&mut text); // the text shows whether the answer broke off
    let text = String::from_utf8_lossy(&text).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, text)
}

const ENDLESS: &str = "/acme/forecast?steps=1000000000000";

#[test]
fn a_tenants_report_has_its_own_orders_only() {
    let server = Server::start(2, 30.0, 5.0);
    let (status, text) = server.get("/acme/report");
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("orders of acme") && text.contains("bolt     5000"), "{text}");
    assert_eq!(server.get("/nobody/report").0, 404);
}

#[test]
fn an_export_streams_every_order() {
    let server = Server::start(1, 30.0, 5.0);
    let (status, text) = server.get("/globex/orders.csv");
    assert_eq!(status, 200);
    let rows = text.lines().filter(|line| line.split(',').count() == 3 && !line.starts_with("day")).count();
    assert_eq!(rows, 20_000);
}

#[test]
fn a_time_limit_stops_the_running_statement() {
    let server = Server::start(1, 0.5, 5.0);
    assert_eq!(server.get(ENDLESS).0, 504);
    // The only connection is free again.
    server.eventually("a report is answered", |server| server.get("/acme/report").0 == 200);
    assert_eq!(server.gauge("heirloom_tasks_running"), 0);
}

#[test]
fn a_client_that_hangs_up_frees_its_connection() {
    let server = Server::start(1, 600.0, 5.0);
    let client = server.send(ENDLESS, "");
    server.eventually("the statement runs", |server| server.gauge("heirloom_tasks_running") == 1);
    let queued = server.send("/globex/report", "");
    server.eventually("another query is queued", |server| server.gauge("heirloom_tasks_queued") == 1);
    drop(client);
    assert_eq!(answer(queued).0, 200);
}

#[test]
fn a_queued_query_of_a_client_that_hangs_up_is_over_at_once() {
    let server = Server::start(1, 600.0, 5.0);
    let _running = server.send(ENDLESS, "");
    server.eventually("the statement runs", |server| server.gauge("heirloom_tasks_running") == 1);
    let client = server.send("/acme/report", "");
    server.eventually("its query is queued", |server| server.gauge("heirloom_tasks_queued") == 1);
    drop(client);
    server
        .eventually("its query is over", |server| server.gauge("heirloom_tasks_queued") == 0 && server.requests() == 1);
}

/// More orders than a connection can buffer: their text fills the sockets and the buffers between.
const FLOOD: u32 = 1_000_000;

/// Returns a client that reads the begin of its answer alone: its export then waits, and holds its connection.
fn stalled(server: &Server) -> TcpStream {
    let mut client = server.send("/acme/orders.csv", "");
    let mut first = [0; 64];
    client.read_exact(&mut first).expect("the answer begins");
    assert!(first.starts_with(b"HTTP/1.1 200"));
    client
}

/// Returns whether the answer was broken off, so that its export had not come to the end of the orders.
fn is_cut(client: TcpStream) -> bool {
    !answer(client).1.ends_with("0\r\n\r\n")
}

#[test]
fn a_client_that_stops_reading_is_cut_off_at_the_time_limit() {
    let server = Server::with("acme", FLOOD, 1, 2.0, 5.0);
    let slow = stalled(&server);
    server.eventually("its export has ended", |server| {
        server.requests() == 0 && server.gauge("heirloom_tasks_running") == 0
    });
    // The only connection is free, though the client is still there.
    assert_eq!(server.get("/acme/forecast?steps=1").0, 200);
    assert!(is_cut(slow));
}

#[test]
fn a_client_that_stops_reading_does_not_outlast_the_servers_end() {
    let server = Server::with("acme", FLOOD, 1, 600.0, 2.0);
    let slow = stalled(&server);
    thread::sleep(Duration::from_secs(1)); // the connection's buffer has been sent
    let (took, said, well) = server.terminate();
    assert!(well && took < Duration::from_secs(5), "{took:?} {said}");
    assert!(said.contains("complete"), "its task was not left behind: {said}");
    assert!(is_cut(slow));
}

#[test]
fn each_log_line_of_a_request_has_its_id() {
    let server = Server::start(1, 30.0, 5.0);
    let (_, text) = answer(server.send("/acme/report", "x-request-id: from-a-test\r\n"));
    assert!(text.contains("x-request-id: from-a-test"), "{text}");
    server.eventually("it is logged", |server| server.log.lock().expect("no panic").contains("answered"));
    let log = server.log.lock().expect("no panic").clone();
    let of_it: Vec<_> = log.lines().filter(|line| line.contains("rendered") || line.contains("answered")).collect();
    assert_eq!(of_it.len(), 2, "{log}");
    assert!(of_it.iter().all(|line| line.contains("from-a-test")), "{log}");
}

#[test]
fn after_clients_that_hang_up_time_out_and_read_slowly_nothing_is_left() {
    let server = Server::start(3, 1.0, 5.0);
    thread::scope(|clients| {
        for client in 0..8 {
            let server = &server;
            clients.spawn(move || {
                for turn in 0..6 {
                    match (client + turn) % 4 {
                        0 => drop(server.send(ENDLESS, "")),
                        1 => assert!([503, 504].contains(&server.get(ENDLESS).0)),
                        2 => {
                            let mut slow = server.send("/globex/orders.csv", "");
                            let _ = slow.read(&mut [0; 16]);
                            thread::sleep(Duration::from_millis(50));
                        }
                        _ => drop(server.get("/acme/report")),
                    }
                    assert!(server.connections() <= 3);
                }
            });
        }
    });
    server.eventually("no request is left", |server| server.requests() == 0);
    server.eventually("no task is left", |server| {
        server.gauge("heirloom_tasks_running")
            + server.gauge("heirloom_tasks_waiting")
            + server.gauge("heirloom_tasks_queued")
            == 0
    });
    assert_eq!(server.get("/acme/report").0, 200);
    let (took, said, well) = server.terminate();
    assert!(well && took < Duration::from_secs(5), "{took:?} {said}");
    assert!(said.contains("complete"), "{said}");
}

#[test]
fn at_sigterm_one_deadline_bounds_all_that_is_open() {
    let server = Server::start(2, 600.0, 2.0);
    let open: Vec<_> = (0..4).map(|_| server.send(ENDLESS, "")).collect();
    server.eventually("they run and queue", |server| {
        server.gauge("heirloom_tasks_running") == 2 && server.gauge("heirloom_tasks_queued") == 2
    });
    let (took, said, well) = server.terminate();
    assert!(well, "{said}");
    assert!(took < Duration::from_secs(4), "{took:?} {said}");
    drop(open);
}
