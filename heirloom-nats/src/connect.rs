//! [`connect`] and [`Connect`]: the choices of a connection.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use heirloom::remote::engine::Engine;
use tokio::runtime::Handle;

use crate::error::ConnectError;
use crate::nats::Nats;
use crate::opening;

/// Names the servers, and returns the builder of a connection.
///
/// An address is `nats://host:4222` or `tls://host:4222`; several addresses of one cluster are separated by commas. Nothing
/// happens before [`Connect::open`].
///
/// ```no_run
/// # fn main() -> Result<(), heirloom_nats::ConnectError> {
/// let nats = heirloom_nats::connect("tls://nats.example:4222").credentials_file("web.creds").app("shop").open()?;
/// let thumbs = nats.queue("thumbs");
/// # let _ = thumbs;
/// # Ok(())
/// # }
/// ```
pub fn connect(servers: impl Into<String>) -> Connect {
    Connect {
        servers: servers.into(),
        app: "app".into(),
        inbox_prefix: None,
        credentials: Vec::new(),
        roots: Vec::new(),
        certificate: None,
        without_tls: false,
        tls_first: false,
        lease: Duration::from_secs(5),
        timeout: Duration::from_secs(3),
        storage: Storage::Memory,
        replicas: 1,
        runtime: None,
    }
}

/// Where the server keeps jobs that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Storage {
    /// In its memory. The origins send waiting jobs again after the server was lost.
    #[default]
    Memory,
    /// In files, which outlive the server.
    File,
}

/// The process's credentials.
pub(crate) enum Credentials {
    File(PathBuf),
    User(String, String),
    Token(String),
    Nkey(String),
}

/// The choices of a connection. See [`connect`].
#[must_use = "`open` makes the connection"]
pub struct Connect {
    pub(crate) servers: String,
    pub(crate) app: String,
    pub(crate) inbox_prefix: Option<String>,
    pub(crate) credentials: Vec<Credentials>,
    pub(crate) roots: Vec<PathBuf>,
    pub(crate) certificate: Option<(PathBuf, PathBuf)>,
    pub(crate) without_tls: bool,
    pub(crate) tls_first: bool,
    pub(crate) lease: Duration,
    pub(crate) timeout: Duration,
    pub(crate) storage: Storage,
    pub(crate) replicas: usize,
    pub(crate) runtime: Option<Handle>,
}

impl Connect {
    /// Names the app: the processes that share queues. Letters, digits, `_` and `-`; `app` by default.
    ///
    /// Two apps on one server do not see each other's queues, but only the server's accounts and rights keep them apart.
    pub fn app(mut self, name: impl Into<String>) -> Self {
        self.app = name.into();
        self
    }

    /// Authenticates with a file of `nsc` or `nats auth`, which has a JWT and a seed.
    pub fn credentials_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.credentials.push(Credentials::File(path.into()));
        self
    }

    /// Authenticates with a user's name and password.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials.push(Credentials::User(name.into(), password.into()));
        self
    }

    /// Authenticates with a token.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.credentials.push(Credentials::Token(token.into()));
        self
    }

    /// Authenticates with the seed of an nkey, `SU…`.
    pub fn nkey(mut self, seed: impl Into<String>) -> Self {
        self.credentials.push(Credentials::Nkey(seed.into()));
        self
    }

    /// Trusts the certificates of a PEM file, and no longer those of the system. Each call adds a file.
    pub fn root_certificates(mut self, path: impl Into<PathBuf>) -> Self {
        self.roots.push(path.into());
        self
    }

    /// Authenticates with a certificate and its key, both PEM files.
    pub fn client_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificate = Some((certificate.into(), key.into()));
        self
    }

    /// Allows connections without TLS to other machines too.
    ///
    /// Without this call a `nats://` address has to be a loopback address, or the server has to speak TLS. With it, a machine that
    /// reads the network reads passwords and jobs. A `tls://` address needs TLS all the same.
    pub fn without_tls(mut self) -> Self {
        self.without_tls = true;
        self
    }

    /// Begins the connection with TLS, for a server with `handshake_first`.
    pub fn tls_first(mut self) -> Self {
        self.tls_first = true;
        self
    }

    /// Sets the lease, the unit of silence; 5 seconds by default, at least 100 ms.
    ///
    /// The server delivers the jobs of a worker again when the worker is silent for this time. The origin counts a worker as dead
    /// after two leases, which it sees within two and a third. All processes of an app have the same lease. A shorter one finds a
    /// death sooner, and takes a busy machine for a dead one sooner.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(100));
        self
    }

    /// Sets the time in which [`open`](Self::open) has to reach a server; 3 seconds by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets where the server keeps jobs of queues that this process makes; [`Storage::Memory`] by default.
    pub fn storage(mut self, storage: Storage) -> Self {
        self.storage = storage;
        self
    }

    /// Sets on how many servers of a cluster a queue that this process makes is kept; 1 by default.
    pub fn replicas(mut self, servers: usize) -> Self {
        self.replicas = servers.max(1);
        self
    }

    /// Sets the first token of the subjects on which this process gets answers; `_INBOX_` and the app's name by default.
    ///
    /// With a prefix for each service, the server's rights can keep one service from reading another's answers.
    pub fn inbox_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.inbox_prefix = Some(prefix.into());
        self
    }

    /// Runs the connection on this runtime. By default it has a thread of its own, named `heirloom-nats`.
    ///
    /// The runtime has to have its I/O and time drivers enabled. A runtime whose threads are blocked cannot sign for running
    /// jobs, which are then taken for lost.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Opens the connection, and waits until a server has answered. Blocks for at most the [`timeout`](Self::timeout) of each
    /// address.
    ///
    /// Once open, a lost connection is made again for ever.
    ///
    /// # Errors
    /// When no server is reached, or the server refuses the credentials, or a choice cannot be used. The text says what to
    /// change. In a future of tokio it is refused at once: use [`open_async`](Self::open_async) there.
    pub fn open(self) -> Result<Nats, ConnectError> {
        opening::open(self)
    }

    /// Opens the connection like [`open`](Self::open), and returns the bare engine, for code with an inbox of its own.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn open_engine(self) -> Result<Box<dyn Engine>, ConnectError> {
        opening::open_engine(self)
    }

    /// Opens the connection like [`open`](Self::open), for async code of any runtime.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), but for the refusal in a future.
    pub async fn open_async(self) -> Result<Nats, ConnectError> {
        opening::open_async(self).await
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The addresses may have credentials until they are checked.
        f.debug_struct("Connect").field("app", &self.app).field("lease", &self.lease).finish_non_exhaustive()
    }
}
