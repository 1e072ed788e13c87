//! The contract of `heirloom::remote::engine`, clause by clause, over a real server.
//!
//! The tests are skipped, and say so, on a machine without `nats-server`. `NATS_SERVER` names another one.

#[allow(dead_code, unreachable_pub, reason = "each test program uses a part of the helpers")]
#[path = "../common/mod.rs"]
mod common;

mod broker;
mod connect;
mod credentials;
mod ends;
mod limits;
mod network;
mod queue;
mod requests;
mod rights;
mod tls;
