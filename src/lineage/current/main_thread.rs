//! [`is_main_thread`]: whether the calling thread runs `main`.

use crate::lineage::locals::LOCALS;

/// Returns whether the calling thread runs `main`. Asks the system once per thread.
pub(super) fn is_main_thread() -> bool {
    LOCALS.with(|locals| {
        locals.is_main.get().unwrap_or_else(|| {
            let is_main = ask_system();
            locals.is_main.set(Some(is_main));
            is_main
        })
    })
}

fn ask_system() -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        // SAFETY: both calls take nothing, return a number and cannot fail.
        unsafe { libc::getpid() == libc::gettid() }
    }
    #[cfg(any(target_os = "macos", target_os = "ios", target_os = "freebsd", target_os = "openbsd"))]
    {
        // SAFETY: takes nothing, returns a number and cannot fail.
        unsafe { libc::pthread_main_np() == 1 }
    }
    #[cfg(not(any(
        target_os = "linux",
        target_os = "android",
        target_os = "macos",
        target_os = "ios",
        target_os = "freebsd",
        target_os = "openbsd"
    )))]
    {
        // `std` gives the main thread this name. A thread that another program started under this name is taken for it.
        std::thread::current().name() == Some("main")
    }
}
