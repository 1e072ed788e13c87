//! What the checks of forks share.

/// How a child ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Code(i32),
    Signal(i32),
}

/// Forks. `None` in the child, which a signal ends if it hangs; in the parent the child, to be waited for.
pub(crate) fn fork() -> Option<Child> {
    // SAFETY: the child only uses what is shown to work there, and leaves through `exit` or is ended.
    match unsafe { libc::fork() } {
        -1 => panic!("no fork: {}", std::io::Error::last_os_error()),
        0 => {
            // SAFETY: arms a timer of this process.
            unsafe { libc::alarm(8) };
            None
        }
        pid => Some(Child(pid)),
    }
}

/// A child that was not waited for yet.
#[must_use]
pub(crate) struct Child(libc::pid_t);

impl Child {
    pub(crate) fn ends(self) -> Ended {
        let mut status = 0;
        // SAFETY: the pid is a child of ours, and `status` outlives the call.
        unsafe { libc::waitpid(self.0, &raw mut status, 0) };
        match libc::WIFEXITED(status) {
            true => Ended::Code(libc::WEXITSTATUS(status)),
            false => Ended::Signal(libc::WTERMSIG(status)),
        }
    }
}

/// Forks; the child plays `child` and leaves with its answer as the exit code. What comes back is that code; a
/// child that hangs is ended by a signal, which shows as `None`.
pub(crate) fn forked(child: impl FnOnce() -> i32) -> Option<i32> {
    match fork() {
        None => {
            let code = child();
            // SAFETY: no other thread exists here that could be running exit handlers.
            unsafe { libc::exit(code) }
        }
        Some(child) => match child.ends() {
            Ended::Code(code) => Some(code),
            Ended::Signal(_) => None,
        },
    }
}
