//! The calling thread, as a call that blocks finds it.

use heirloom::remote::engine;

/// Returns the words of a refusal, where `call` would block a thread of a runtime that runs a future.
pub(crate) fn refusal(call: &str) -> Option<String> {
    engine::runs_a_future().then(|| {
        format!("`{call}` blocks its thread, which runs a future of an async runtime; await `{call}_async` there")
    })
}
