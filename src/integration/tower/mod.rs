//! [`ScopeLayer`]: a scope for each request of a `tower` service (feature `tower`).
//!
#![doc = include_str!("../../../docs/where-to-put-the-layer.md")]

// # Invariants
// 1. The service that was polled ready is the one that is called: the call goes to it directly, and a clone made
//    before has its own.
// 2. From the call to the end of the response (or of its body) the scope has exactly one owner ([`open::Open`]): the
//    response future, then the body ([`keep::Keep`]), from which a time limit may take it. An owner that is dropped before
//    that end cancels the scope first and drops its contents second.
// 3. A request's slot of the limit is released when no task that the request submitted is left, so clients that come and
//    go cannot pile up work: the slot is a value bound at the scope, and a scope drops its values then.

mod answer;
mod below;
mod body;
mod clock;
mod deadline;
mod future;
mod gives_up;
mod grpc;
mod hook;
mod keep;
mod layer;
mod lend;
mod limit;
mod open;
mod service;
mod time;
mod until;

pub use self::body::ScopedBody;
pub use self::deadline::{grpc_timeout, set_grpc_timeout, timeout_millis, timeout_seconds};
pub use self::future::ScopeFuture;
pub use self::layer::ScopeLayer;
pub use self::limit::ScopeUsage;
pub use self::service::ScopeService;
pub use self::time::RequestTimedOut;
