//! Scenarios of other projects' tests, told in this crate's words.

#[path = "../common/mod.rs"]
mod common;

mod neighbours_labthings;
mod neighbours_livekit;
mod neighbours_mitogen;
