//! The peers of look-up and of carrying a node: opentelemetry's `Context` and tokio's `Handle::current`.

use std::hint::black_box;

use opentelemetry::Context;
use tokio::runtime::{Builder, Handle};

use crate::suite::contest::{Contender, back_to_back};
use crate::suite::pool::noop;

/// A value in a context.
#[derive(Clone, Copy)]
struct Tenant(#[expect(dead_code, reason = "only its presence counts")] u64);

/// `Handle::current()`: the nearest runtime, cloned.
pub(crate) fn tokio_current() -> Contender<'static> {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    Contender::new("tokio Handle::current", move |n| {
        let _entered = runtime.enter();
        back_to_back(n, || {
            black_box(Handle::current());
        })
    })
}

/// The current context, cloned, and a value in it by its type.
pub(crate) fn otel_get() -> Contender<'static> {
    Contender::new("otel Context get", |n| {
        let _attached = Context::current_with_value(Tenant(7)).attach();
        back_to_back(n, || {
            black_box(Context::current().get::<Tenant>().copied());
        })
    })
}

/// The same without the clone.
pub(crate) fn otel_map() -> Contender<'static> {
    Contender::new("otel Context map_current", |n| {
        let _attached = Context::current_with_value(Tenant(7)).attach();
        back_to_back(n, || {
            black_box(Context::map_current(|context| context.get::<Tenant>().copied()));
        })
    })
}

/// Takes the current context in one scope, then attaches it around a task in another and drops it after the task.
pub(crate) fn otel_carry() -> Contender<'static> {
    Contender::new("otel attach and drop", |n| {
        let there = Context::current_with_value(Tenant(7));
        crate::suite::rows::carry::in_batches(
            n,
            |carried: &mut Vec<Context>, batch| {
                let _attached = there.clone().attach();
                carried.extend((0..batch).map(|_| Context::current()));
            },
            |context| {
                let _attached = context.attach();
                noop();
            },
        )
    })
}
