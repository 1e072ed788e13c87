//! [`Address`]: one server's address, without credentials.

use std::net::IpAddr;

use crate::error::ConnectError;

/// One server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    host: String,
    port: u16,
    tls: bool,
}

impl Address {
    /// Reads `nats://host:port`, `tls://host:port` or `host:port`; several are separated by commas.
    pub(crate) fn read_all(text: &str) -> Result<Vec<Self>, ConnectError> {
        let all: Result<Vec<_>, _> =
            text.split(',').map(str::trim).filter(|one| !one.is_empty()).map(Self::read).collect();
        match all {
            Ok(all) if all.is_empty() => Err(invalid("the address of the NATS server is empty")),
            all => all,
        }
    }

    fn read(text: &str) -> Result<Self, ConnectError> {
        // No error has the text itself before this check.
        if text.contains('@') {
            return Err(invalid(
                "the address of the NATS server has credentials, which end in logs; use `user`, `token`, `nkey` or \
                 `credentials_file`",
            ));
        }
        let wrong = || {
            invalid(&format!("{text:?} is no address of a NATS server; one is `nats://host:4222` or `tls://host:4222`"))
        };
        let (scheme, rest) = text.split_once("://").unwrap_or(("nats", text));
        let tls = match scheme {
            "nats" => false,
            "tls" => true,
            _ => return Err(wrong()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or_else(wrong)?)),
            None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Ok(4222), str::parse).map_err(|_| wrong())?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:%".contains(c);
        if host.is_empty() || !host.chars().all(fits) {
            return Err(wrong());
        }
        Ok(Self { host: host.into(), port, tls })
    }

    /// Returns whether the address is one of this machine.
    fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Returns whether the connection has to be encrypted.
    pub(crate) fn needs_tls(&self, allowed_without: bool) -> bool {
        self.tls || !(allowed_without || self.is_loopback())
    }

    /// Returns the address as a client takes it.
    pub(crate) fn url(&self, tls: bool) -> String {
        let colons = self.host.contains(':');
        let (open, close) = if colons { ("[", "]") } else { ("", "") };
        format!("{}://{open}{}{close}:{}", if tls { "tls" } else { "nats" }, self.host, self.port)
    }
}

fn invalid(text: &str) -> ConnectError {
    ConnectError::Invalid(text.into())
}

#[cfg(test)]
mod tests {
    use super::Address;

    fn needs_tls(text: &str) -> bool {
        Address::read_all(text).unwrap()[0].needs_tls(false)
    }

    #[test]
    fn an_address_of_another_machine_needs_tls() {
        assert!(needs_tls("nats://db.example:4222"));
        assert!(needs_tls("10.0.0.1"));
        assert!(needs_tls("tls://127.0.0.1"));
        assert!(!needs_tls("nats://localhost:4222"));
        assert!(!needs_tls("nats://127.0.0.1"));
        assert!(!needs_tls("nats://[::1]:4222"));
    }

    #[test]
    fn credentials_in_an_address_are_refused_and_not_repeated() {
        let error = Address::read_all("nats://bob:secret@host:4222").unwrap_err().to_string();
        assert!(error.contains("credentials_file") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn several_addresses_are_separated_by_commas() {
        let all = Address::read_all("nats://a:1, tls://[::2]:7").unwrap();
        assert_eq!(all[0].url(false), "nats://a:1");
        assert_eq!(all[1].url(true), "tls://[::2]:7");
        assert!(Address::read_all("http://a").is_err());
        assert!(Address::read_all("nats://a:port").is_err());
        assert!(Address::read_all(" ").is_err());
    }
}
