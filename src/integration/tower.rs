//! [`ScopeLayer`]: a scope for each request of a `tower` service (feature `tower`).
//!
#![doc = include_str!("../../docs/where-to-put-the-layer.md")]

// # Invariants
// 1. The service that was polled ready is the one that is called: the call goes to it directly, and a clone made
//    before has its own.
// 2. From the call to the end of the response (or of its body) exactly one owner has the scope ([`open::Open`]): the
//    response future, then the body ([`keep::Keep`]), from which a time limit may take it. An owner that is dropped before
//    that end cancels the scope, and drops what is inside after that.
// 3. A place of a limit is given back when nothing that its request asked for is left, so clients that come and go
//    cannot pile up work: it is a value bound at the scope, and a scope drops its values then.

mod body;
mod end;
mod future;
mod hooks;
mod keep;
mod layer;
mod lend;
mod limit;
mod open;
mod place;
mod service;
mod time;

pub use self::body::ScopedBody;
pub use self::future::ScopeFuture;
pub use self::layer::ScopeLayer;
pub use self::limit::ScopeUsage;
pub use self::service::ScopeService;
pub use self::time::RequestTimedOut;
