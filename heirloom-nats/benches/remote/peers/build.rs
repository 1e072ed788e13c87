//! The peers' programs: what is built, and what is installed, below the target directory.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, io};

use crate::report::target_dir;

pub(super) const PYTHON: &str = "python3";

/// Returns the folder of the programs' sources.
pub(super) fn folder() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| "heirloom-nats".into());
    Path::new(&manifest).join("benches/peers")
}

/// Builds the peers in Rust, and returns their program.
pub(super) fn rust() -> Result<PathBuf, String> {
    let target = target_dir().join("bench-peers");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "--locked", "--quiet", "--manifest-path"]).arg(folder().join("Cargo.toml"));
    build.arg("--target-dir").arg(&target);
    eprintln!("remote: the peers in Rust are built");
    run_within(&mut build, Duration::from_secs(600)).map_err(|why| format!("its program is not built: {why}"))?;
    Ok(target.join("release/heirloom-nats-peers"))
}

/// Installs the peers in Python, and returns the folder that they are in.
pub(super) fn python() -> Result<PathBuf, String> {
    let target = target_dir().join("bench-python");
    let wanted = folder().join("python/requirements.txt");
    // Is written at the end of an installation.
    let have = target.join("requirements.txt");
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    if read(&have) == read(&wanted) {
        return Ok(target);
    }
    let _ = fs::remove_dir_all(&target);
    let mut install = Command::new(PYTHON);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action", "ignore"]);
    install.arg("--target").arg(&target).arg("--requirement").arg(&wanted);
    eprintln!("remote: the peers in Python are installed");
    run_within(&mut install, Duration::from_secs(180)).map_err(|why| format!("it is not installed: {why}"))?;
    fs::copy(&wanted, &have).map_err(|error| format!("it is not installed: {error}"))?;
    Ok(target)
}

/// Runs a command to its end, within this time.
fn run_within(command: &mut Command, time: Duration) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let mut child = child.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("no {program}"),
        _ => format!("{program} does not start: {error}"),
    })?;
    match wait_within(&mut child, time) {
        Some(true) => Ok(()),
        Some(false) => Err(format!("{program} has failed, see above")),
        None => Err(format!("{program} takes longer than {time:?}")),
    }
}

/// Returns whether the process has ended well, or `None` after the time, which kills it.
fn wait_within(child: &mut Child, time: Duration) -> Option<bool> {
    let until = Instant::now() + time;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(50)),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}
