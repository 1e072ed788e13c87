//! Tests of the server as a process of its own, over real connections.
#![cfg(target_os = "linux")]

#[path = "../../src/answer.rs"]
mod answer;
mod over_loopback;
mod server;
mod with_broker;
