//! The promise that a load run ends.

use std::process::exit;
use std::thread;
use std::time::Duration;

use heirloom::ExitPolicy;

/// Ends the process with code 2 unless it has ended by itself within the limit.
///
/// A plain thread, on purpose: it depends on nothing that it is there to watch.
pub(crate) fn enforce(limit: Duration) -> std::io::Result<()> {
    thread::Builder::new().name("time-limit".into()).spawn(move || {
        thread::sleep(limit);
        eprintln!("component_server: not done within {} s; giving up", limit.as_secs());
        // The exit must not wait once more for a task that hangs.
        heirloom::on_exit(ExitPolicy::Abandon);
        exit(2);
    })?;
    Ok(())
}
