//! [`Hosts`]: the names under which an inspector answers.
//!
//! A stranger's page can have its own name resolve to this machine. Its browser then takes the answers of an inspector on
//! the loopback address for that page's own (DNS rebinding). The browser sends the stranger's name in `Host`, so a name
//! that was not added is refused.

use std::net::IpAddr;

use axum::http::{HeaderMap, Uri, header};

use crate::sync::os::{AtomicBool, Mutex, Ordering};

/// The answer to a request for another host.
pub(super) const REFUSED: &str = "this inspector answers to localhost, to loopback addresses and to the names that \
                       `Inspector::allow_host` adds; the request's Host is none of them";

#[derive(Default)]
pub(super) struct Hosts {
    any: AtomicBool,
    added: Mutex<Vec<String>>,
}

impl Hosts {
    pub(super) fn add(&self, host: &str) {
        let host = host.split_once("://").map_or(host, |(_, rest)| rest);
        let host = host.split(['/', '?', '#']).next().unwrap_or(host);
        self.added.lock().push(name_of(host).to_ascii_lowercase());
    }

    pub(super) fn allow_any(&self) {
        self.any.store(true, Ordering::Relaxed);
    }

    /// Returns whether the hosts of the request's `Host` headers, and of its address if it has one, are allowed.
    pub(super) fn allow(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        if self.any.load(Ordering::Relaxed) {
            return true;
        }
        let said = headers.get_all(header::HOST).iter().map(|host| host.to_str().ok());
        let said: Vec<_> = said.chain(uri.authority().map(|authority| Some(authority.as_str()))).collect();
        !said.is_empty() && said.into_iter().all(|host| host.is_some_and(|host| self.allows(host)))
    }

    fn allows(&self, host: &str) -> bool {
        let name = name_of(host);
        let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
        name.eq_ignore_ascii_case("localhost")
            || name.parse().is_ok_and(is_loopback)
            || self.added.lock().iter().any(|added| added.eq_ignore_ascii_case(name))
    }
}

/// Returns a host without its port, the brackets of an IPv6 address and the dot at its end.
fn name_of(host: &str) -> &str {
    let host = host.trim();
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    let name = match host.split_once(':') {
        // An IPv6 address without brackets has more colons.
        Some((name, port)) if !port.contains(':') => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}
