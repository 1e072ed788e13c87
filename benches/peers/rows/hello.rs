//! Rows: a program that submits one task and prints the result. One iteration is one run of it, built with `--release`; the
//! question: how large is the binary, and how long does it take from start to exit?

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use crate::suite::contest::{Contender, Medians, Plan, back_to_back, contest};
use crate::suite::group::{Bar, Group, Place, RowSpec, Unit};
use crate::suite::report::target_dir;

const ROW: RowSpec = RowSpec {
    work: "hello world: the binary",
    iteration: "start a pool of 4, submit one task and print its result: the size of the program",
    ours: "heirloom, binary",
    peers: &["binary"],
    unit: Unit::Bytes,
    bar: Bar::Told,
};

pub(crate) const HELLO: Group = Group {
    key: "hello world",
    place: Place::Here,
    measure,
    rows: &[
        ROW,
        RowSpec {
            work: "hello world: start to exit",
            iteration: "the same: start the process and wait for its end",
            ours: "heirloom, run",
            peers: &["run"],
            unit: Unit::Nanoseconds,
            ..ROW
        },
    ],
};

const OURS: &str = r#"
fn main() -> Result<(), heirloom::Error> {
    let pool = heirloom::create("pool");
    pool.start(heirloom::PoolConfig::leased(4))?;
    println!("{}", pool.submit(|| "hello, world")?.join()?);
    Ok(())
}
"#;

const RAYONS: &str = r#"
fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().expect("a pool");
    println!("{}", pool.install(|| "hello, world"));
}
"#;

fn measure(plan: &Plan) -> Medians {
    if !plan.builds {
        return Medians::new();
    }
    let ours = format!("heirloom = {{ path = {:?} }}", env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| ".".into()));
    let programs = [("heirloom", build("heirloom", &ours, OURS)), ("rayon", build("rayon", "rayon = \"1\"", RAYONS))];
    let mut medians = Medians::new();
    let mut contenders = Vec::new();
    for (name, program) in programs {
        let Some((path, bytes)) = program else { continue };
        medians.push((format!("{name}, binary"), bytes));
        contenders.push(Contender::new(format!("{name}, run"), move |n| back_to_back(n, || run(&path))));
    }
    medians.extend(contest(plan.threads, contenders));
    medians
}

/// Builds a program of one file. Returns its path and its bytes, or `None` where cargo cannot build it offline.
fn build(name: &str, dependency: &str, main: &str) -> Option<(PathBuf, f64)> {
    let folder = target_dir().join("hello").join(name);
    fs::create_dir_all(folder.join("src")).ok()?;
    let manifest = format!(
        "[package]\nname = \"hello-{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[dependencies]\n{dependency}\n[workspace]\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest).ok()?;
    fs::write(folder.join("src/main.rs"), main).ok()?;
    let lock = Path::new(&env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| ".".into())).join("Cargo.lock");
    let _ = fs::copy(lock, folder.join("Cargo.lock"));
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--offline", "--quiet"]).current_dir(&folder).env("CARGO_TARGET_DIR", &folder);
    if !cargo.status().is_ok_and(|status| status.success()) {
        eprintln!("hello world: {name}'s program was not built");
        return None;
    }
    let path = folder.join("release").join(format!("hello-{name}{}", env::consts::EXE_SUFFIX));
    let bytes = fs::metadata(&path).ok()?.len() as f64;
    Some((path, bytes))
}

fn run(path: &Path) {
    let status = Command::new(path).stdout(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "the program ends well");
}
