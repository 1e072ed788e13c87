//! Lines on stderr, for when a lock of `std`'s may be held for ever: at the end of the process, and in a fork.

/// Writes past `std`'s lock, and only if the pipe has capacity. A text without capacity is lost.
#[cfg(unix)]
pub(crate) fn write(text: &str) {
    let mut ready = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one descriptor is polled without waiting, and the text is written from its own length.
    unsafe {
        if libc::poll(&raw mut ready, 1, 0) == 1 && ready.revents & libc::POLLOUT != 0 {
            libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len());
        }
    }
}

#[cfg(not(unix))]
pub(crate) fn write(text: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
}
