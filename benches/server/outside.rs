//! Load from an independent program: `wrk`.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Result;
use crate::drive::Target;
use crate::runner::Numbers;

pub(crate) fn is_there() -> bool {
    Command::new("wrk").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Requests the targets in turn, on so many connections. Each sends its next request as soon as it has the response.
/// Blocks for that time.
pub(crate) fn run(address: SocketAddr, targets: &[Target], clients: usize, time: Duration) -> Result<Numbers> {
    let script = Script::new(targets)?;
    let output = Command::new("wrk")
        .args(["--threads", "1", "--timeout", "30s", "--connections", &clients.to_string()])
        .args(["--duration", &format!("{}s", time.as_secs().max(1)), "--script"])
        .arg(&script.0)
        .arg(format!("http://{address}/"))
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers = text
        .lines()
        .find_map(|line| line.strip_prefix("numbers "))
        .ok_or_else(|| format!("wrk told no numbers:\n{text}{}", String::from_utf8_lossy(&output.stderr)))?;
    let numbers: Vec<f64> = numbers.split(' ').map(str::parse).collect::<std::result::Result<_, _>>()?;
    let [requests, failed, seconds, p50, p99] = numbers[..] else { return Err("wrk told other numbers".into()) };
    if failed > 0.0 {
        return Err(format!("{failed} of wrk's requests failed").into());
    }
    Ok(Numbers { a_second: requests / seconds, p50, p99 })
}

/// A file that is there as long as this.
struct Script(PathBuf);

impl Script {
    fn new(targets: &[Target]) -> Result<Script> {
        let mut lua = String::from("local paths = {\n");
        for Target { path, .. } in targets {
            writeln!(lua, "{path:?},")?;
        }
        lua.push_str(TURNS);
        // Two loads at a time have targets of their own.
        let name = format!("heirloom-server-bench-{}-{:p}.lua", std::process::id(), targets);
        let path = std::env::temp_dir().join(name);
        fs::write(&path, lua)?;
        Ok(Script(path))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // A file that stays in a directory for temporary files does no harm.
        let _ = fs::remove_file(&self.0);
    }
}

/// Times come in microseconds.
const TURNS: &str = r#"}
local at = 0
function request()
    at = at % #paths + 1
    return wrk.format("GET", paths[at])
end
function done(summary, latency)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    io.write(string.format("numbers %d %d %f %f %f\n", summary.requests, failed, summary.duration / 1e6,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"#;
