//! The end of the process: joining pools complete their accepted tasks.
//!
//! Two ways lead here. The guard ([`guard::exit_guard`], [`guard::run_main`]) drains while everything still works, on
//! every platform. For programs without it, and for `std::process::exit`, a Unix `atexit` hook does its best within a
//! deadline.
//!
//! # Steps of the hook
//! 1. The exiting thread never finishes the results that it owes to other threads, such as a value's initialisation.
//!    Their waiters are notified.
//! 2. Tasks on the exiting thread's own stack end with `ProcessExiting`: that thread never returns to them, and their
//!    waiters must go on.
//! 3. Tasks queued for a pool local to that thread are cancelled, because no thread will run them.
//! 4. Joining pools are closed, and waited for until the deadline. Every 5 s a line on stderr names the awaited pools.
//!    Daemon pools are left alone. A cancelled task is waited for during a short grace only.
//!
//! # Limits of the hook
//! A task that itself calls `exit` while the hook waits: the second `exit` is undefined in C, and its thread blocks or
//! the process ends there. C libraries torn down by handlers registered later than this one are gone already when the
//! hook runs. On Windows `ExitProcess` ends all other threads before any handler runs, so only the guard helps.
//! `_exit`, `abort`, a fatal signal and a panic under `panic = "abort"` run no hook anywhere.

mod drain;
pub(crate) mod guard;
pub(crate) mod hook;
pub(crate) mod settings;
