//! The names of threads while they run tasks; see [`show_tasks`].

use std::fmt;
// Not of the seam: the flag orders nothing, and no model sets it.
use std::sync::atomic::{AtomicBool, Ordering};

static SHOWS: AtomicBool = AtomicBool::new(false);

/// Sets whether a thread has the name of the pool, and of the task type, while it runs a task. False at first.
///
/// For `top -H`, `htop`, `perf` and debuggers: a thread that runs a task of `"render"` with the type `"page"` is called
/// `render:page` there, cut to the 15 bytes that the system keeps. On Linux and Android; elsewhere nothing changes. The
/// name that [`std::thread::Thread::name`] returns stays.
///
/// Costs three system calls for each task, about a microsecond. Without it a task pays one load.
pub fn show_tasks(shows: bool) {
    SHOWS.store(shows, Ordering::Relaxed);
}

/// The thread's own name, which it gets back at the drop.
pub(crate) struct OwnName(#[cfg(any(target_os = "android", target_os = "linux"))] os::Name);

/// Gives the calling thread the name of a task, where that is wanted.
#[inline]
pub(crate) fn task(pool: &dyn fmt::Display, task_type: Option<&dyn fmt::Display>) -> Option<OwnName> {
    if SHOWS.load(Ordering::Relaxed) { rename(pool, task_type) } else { None }
}

#[cfg(not(any(target_os = "android", target_os = "linux")))]
fn rename(_: &dyn fmt::Display, _: Option<&dyn fmt::Display>) -> Option<OwnName> {
    None
}

#[cfg(any(target_os = "android", target_os = "linux"))]
#[cold]
fn rename(pool: &dyn fmt::Display, task_type: Option<&dyn fmt::Display>) -> Option<OwnName> {
    let text = match task_type {
        Some(task_type) => format!("{pool}:{task_type}"),
        None => pool.to_string(),
    };
    let own = os::Name::of_thread();
    os::Name::new(&text).set();
    Some(OwnName(own))
}

#[cfg(any(target_os = "android", target_os = "linux"))]
impl Drop for OwnName {
    fn drop(&mut self) {
        self.0.set();
    }
}

#[cfg(any(target_os = "android", target_os = "linux"))]
mod os {
    /// A thread's name as the system keeps it: 15 bytes and a zero.
    pub(super) struct Name([u8; 16]);

    impl Name {
        pub(super) fn new(text: &str) -> Self {
            let mut name = [0; 16];
            let mut end = text.len().min(15);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            name[..end].copy_from_slice(&text.as_bytes()[..end]);
            Self(name)
        }

        pub(super) fn of_thread() -> Self {
            let mut name = [0_u8; 16];
            // SAFETY: the call writes at most 16 bytes, the zero included, to an array of that size.
            unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
            Self(name)
        }

        pub(super) fn set(&self) {
            // SAFETY: the call reads up to a zero: the last byte is one, since at most 15 bytes are ever copied before it.
            unsafe { libc::prctl(libc::PR_SET_NAME, self.0.as_ptr()) };
        }
    }
}
