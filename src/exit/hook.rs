//! The `atexit` hook: ends the exiting thread's own tasks, then drains.

use crate::error::TaskError;
use crate::exit::drain::drain;
use crate::pool::blocking::hold;
use crate::pool::context::frame::Frame;
use crate::pool::context::thread::{forget_all, with_initialising, with_innermost};
use crate::pool::core::task_meta::TaskMeta;
use crate::pool::core::task_nodes;
use crate::pool::kinds::dedicated::start::initialiser_exits;
use crate::pool::run::{dispatch, leave};
use crate::sync::fork::{self, is_fork};
use crate::sync::unwind::swallow;
use crate::task::claimed::Claimed;
use crate::wait::graph;

/// Installs the hooks, once.
pub(crate) fn arm() {
    fork::arm_for_threads();
    #[cfg(unix)]
    {
        static ARMED: std::sync::Once = std::sync::Once::new();
        ARMED.call_once(|| {
            // SAFETY: the function lives as long as the program (this crate is not unloaded), takes no argument and
            // does not unwind. A refusal leaves the guard as the only way, which is documented as the guarantee.
            unsafe {
                libc::atexit(hook);
            }
        });
    }
}

#[cfg(unix)]
extern "C" fn hook() {
    // A forked child has none of the threads that could finish a task, and perhaps a lock that no thread releases.
    if is_fork() {
        return;
    }
    // Unwinding out of a C function aborts; the exit code is to be kept.
    swallow(|| {
        // The values that this thread was making for others never come: their waiters give up.
        graph::give_up_all();
        end_own_tasks();
        drain();
    });
}

/// Ends the tasks on the stack of the exiting thread, which never returns to them.
fn end_own_tasks() {
    with_initialising(|this| {
        if let Some(this) = this {
            initialiser_exits(this.pool, this.info, this.purpose);
        }
    });
    with_innermost(|inner| {
        for frame in inner.into_iter().flat_map(Frame::outwards) {
            end_own_task(frame);
        }
    });
    forget_all();
}

fn end_own_task(frame: &Frame<'_>) {
    let pool = frame.pool();
    if let Some(claimed) = &frame.claimed {
        // SAFETY: the frame's owner never runs again, because `exit` does not return; so this copy is the only claim.
        let claimed: Claimed<TaskMeta> = unsafe { std::ptr::read(claimed) };
        let id = claimed.task().id();
        pool.queue.with_extra(|stats| stats.forget(id));
        task_nodes::unlist(pool, &frame.counted.place, claimed.task());
        claimed.fail(TaskError::process_exiting(id, &pool.namespace));
        claimed.finish(frame.pool());
    }
    leave::after_last(pool, frame.counted.clone(), frame.owed + 1);
    if frame.brings_permit && hold::abandon_wait(pool, frame.wait.get()) {
        dispatch::release_permit(pool, false);
    }
}
