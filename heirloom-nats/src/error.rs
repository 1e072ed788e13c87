//! [`ConnectError`]: a connection was not opened.

use std::fmt;
use std::path::PathBuf;

/// Why a connection was not opened. Its text says what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// An address, a name or another choice cannot be used as it is.
    Invalid(String),
    /// A file of credentials, certificates or keys cannot be read.
    File {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        why: String,
    },
    /// No server answers at the addresses.
    Unreachable {
        /// The addresses.
        servers: String,
        /// Why none answers.
        why: String,
    },
    /// The server does not take the credentials.
    Refused {
        /// The addresses.
        servers: String,
    },
    /// There is no TLS connection to the server.
    Tls {
        /// The addresses.
        servers: String,
        /// Why there is none.
        why: String,
    },
    /// The system refuses a thread or a runtime for the connection.
    Thread(std::io::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) => f.write_str(text),
            Self::File { path, why } => write!(f, "the file {} cannot be used: {why}", path.display()),
            Self::Unreachable { servers, why } => {
                write!(f, "no NATS server answers at {servers} ({why}); check the address, and that the server runs")
            }
            Self::Refused { servers } => write!(
                f,
                "the NATS server at {servers} refuses the credentials; check them with its operator (`credentials_file`, \
                 `user`, `token`, `nkey`)"
            ),
            Self::Tls { servers, why } => write!(
                f,
                "no TLS connection to {servers} ({why}); check the server's certificate (`root_certificates`), or allow a \
                 connection without TLS (`without_tls`) where the network is trusted"
            ),
            Self::Thread(error) => write!(f, "the system refuses a thread for the connection: {error}"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Thread(error) => Some(error),
            _ => None,
        }
    }
}
