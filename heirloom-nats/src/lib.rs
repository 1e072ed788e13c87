#![doc = include_str!("../README.md")]

mod address;
mod connect;
mod driver;
mod engine;
mod error;
mod jet;
mod names;
mod nats;
mod opening;
mod runtime;
mod settings;
mod shared;
mod tls;

pub use crate::connect::{Connect, Storage, connect};
pub use crate::error::ConnectError;
pub use crate::nats::Nats;
