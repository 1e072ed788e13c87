//! [`Proxy`]: a TCP connection that a test stalls and cuts.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A port that forwards to another one of this machine, for as long as the test lets it.
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Bytes are kept back, and connections stay open.
    stalled: AtomicBool,
    /// New connections are closed at once.
    cut: AtomicBool,
    ended: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Forwards to this port of the loopback address.
    #[must_use]
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let own = listener.local_addr().expect("the port").port();
        let state = Arc::new(State::default());
        let accepting = Arc::clone(&state);
        std::thread::spawn(move || {
            for from in listener.incoming().flatten() {
                if accepting.ended.load(Ordering::SeqCst) {
                    return;
                }
                if accepting.cut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(to) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
                for (reader, writer) in [(&from, &to), (&to, &from)] {
                    let (reader, writer) =
                        (reader.try_clone().expect("a socket"), writer.try_clone().expect("a socket"));
                    let state = Arc::clone(&accepting);
                    std::thread::spawn(move || state.copy(reader, writer));
                }
                accepting.open.lock().expect("no panic").extend([from, to]);
            }
        });
        Self { port: own, state }
    }

    /// Returns the address of the proxy, as `connect` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Keeps all bytes back, or lets them go on. The connections stay open.
    pub fn stall(&self, stalled: bool) {
        self.state.stalled.store(stalled, Ordering::SeqCst);
    }

    /// Closes all connections and refuses new ones, or accepts them again.
    pub fn cut(&self, cut: bool) {
        self.state.cut.store(cut, Ordering::SeqCst);
        if cut {
            for socket in self.state.open.lock().expect("no panic").drain(..) {
                let _ = socket.shutdown(Shutdown::Both);
            }
        }
    }
}

impl State {
    fn copy(&self, mut reader: TcpStream, mut writer: TcpStream) {
        let mut buffer = [0; 65_536];
        while let Ok(bytes @ 1..) = reader.read(&mut buffer) {
            while self.stalled.load(Ordering::SeqCst) && !self.ended.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(2));
            }
            if writer.write_all(&buffer[..bytes]).is_err() {
                break;
            }
        }
        let _ = writer.shutdown(Shutdown::Both);
        let _ = reader.shutdown(Shutdown::Both);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut(true);
        self.state.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}
