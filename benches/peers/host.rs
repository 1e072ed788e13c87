//! The system's numbers about this process, and the pinning to one CPU.

/// Whether [`pin_to_one_cpu`] can work here.
pub(crate) const CAN_PIN: bool = cfg!(target_os = "linux");

/// Leaves the calling thread, and every thread it starts later, one of the CPUs it may use. False: nothing changed.
#[cfg(target_os = "linux")]
pub(crate) fn pin_to_one_cpu() -> bool {
    use std::mem::{size_of, zeroed};

    // SAFETY: a `cpu_set_t` is a plain bit set, for which all zeroes is the empty one; both calls get its own size and
    // a pointer to it that lives through the call, and `cpu` stays below the number of bits it has.
    unsafe {
        let mut allowed: libc::cpu_set_t = zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut allowed) != 0 {
            return false;
        }
        let Some(cpu) = (0..libc::CPU_SETSIZE as usize).find(|&cpu| libc::CPU_ISSET(cpu, &allowed)) else {
            return false;
        };
        let mut one: libc::cpu_set_t = zeroed();
        libc::CPU_SET(cpu, &mut one);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &one) == 0
    }
}

/// Leaves the calling thread one of the CPUs it may use; not on this system.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pin_to_one_cpu() -> bool {
    false
}

/// Bytes of this process that are in memory; `None` where the system does not tell.
#[cfg(target_os = "linux")]
pub(crate) fn resident_bytes() -> Option<f64> {
    // SAFETY: reads a constant of the system; takes no pointers.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let pages: f64 = std::fs::read_to_string("/proc/self/statm").ok()?.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * page as f64)
}

/// Bytes of this process that are in memory; `None` where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub(crate) fn resident_bytes() -> Option<f64> {
    None
}

/// Context switches of this process up to now; `None` where the system does not tell.
#[cfg(unix)]
pub(crate) fn context_switches() -> Option<f64> {
    // SAFETY: the struct is plain numbers, for which zeros are valid; the call fills it, and touches nothing else.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::getrusage(libc::RUSAGE_SELF, &mut usage) == 0).then_some(usage)?
    };
    Some((usage.ru_nvcsw + usage.ru_nivcsw) as f64)
}

/// Context switches of this process up to now; `None` where the system does not tell.
#[cfg(not(unix))]
pub(crate) fn context_switches() -> Option<f64> {
    None
}

/// Threads of this process; `None` where the system does not tell.
pub(crate) fn threads() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("Threads:"))?.trim().parse().ok()
}
