//! A chain of caches: workers below branches below one controller resolve modules with their dependencies.
//!
//! However many workers ask at once, at any depth, the controller fetches each module once, and all below find it.
//!
//! The modules are this crate's own source files. A file depends on the modules that it `use`s.
//!
//! ```text
//! cargo run --example module_cache -- --branches 2 --workers 4 cancel pool::worker gate
//! ```

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use clap::Parser;
use heirloom::{HeirloomMap, Lineage, OnFailure, PoolConfig, Scope};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// The cache of every context: a context finds its own modules and those of the contexts above it, nearest first. A
/// name without a module is looked up once too.
static MODULES: HeirloomMap<String, Module> = HeirloomMap::new("modules").on_failure(OnFailure::Sticky);

/// The requests that reached the files, in their order.
static REQUESTS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static LOOK_UPS: AtomicUsize = AtomicUsize::new(0);

struct Module {
    path: String,
    lines: usize,
    depends_on: BTreeSet<String>,
}

#[derive(Parser)]
struct Args {
    /// Contexts below the controller.
    #[arg(long, default_value_t = 2)]
    branches: usize,
    /// Contexts below each of those, which ask.
    #[arg(long, default_value_t = 4)]
    workers: usize,
    /// The modules that each worker resolves.
    #[arg(default_values = ["cancel", "pool::worker", "registry::scope", "no::such::module"])]
    modules: Vec<String>,
}

/// The file of a module, read and parsed. Slow and not to be done twice, in a real program: a compiler, a network.
fn fetch(name: &str) -> Result<Module> {
    REQUESTS.lock().map_err(|_| "a fetch panicked")?.push(name.to_string());
    let file = name.replace("::", "/");
    let found =
        [format!("src/{file}.rs"), format!("src/{file}/mod.rs")].into_iter().find(|path| Path::new(path).exists());
    let path = found
        .ok_or_else(|| format!("no file of that name in {}", std::env::current_dir().unwrap_or_default().display()))?;
    let text = std::fs::read_to_string(&path)?;
    // `use crate::pool::worker::Task;` depends on `pool::worker`.
    let used = text.lines().filter_map(|line| line.strip_prefix("use crate::"));
    let depends_on = used.filter_map(|used| {
        let path: Vec<&str> = used.split("::").collect();
        (1..path.len()).rev().map(|n| path[..n].join("::")).find(|name| {
            let file = name.replace("::", "/");
            Path::new(&format!("src/{file}.rs")).exists() || Path::new(&format!("src/{file}/mod.rs")).exists()
        })
    });
    Ok(Module { lines: text.lines().count(), depends_on: depends_on.collect(), path })
}

/// A module and all it depends on, from where the code stands: found in a context above, or fetched by the controller.
fn resolve(controller: &Lineage, name: &str) -> Result<Vec<Arc<Module>>> {
    let mut seen = BTreeSet::from([name.to_string()]);
    let mut todo = vec![name.to_string()];
    let mut modules = Vec::new();
    while let Some(name) = todo.pop() {
        LOOK_UPS.fetch_add(1, Ordering::Relaxed);
        let module = MODULES.at(controller).get_or_try_init(&name, || fetch(&name))?;
        todo.extend(module.depends_on.iter().filter(|name| seen.insert((*name).clone())).cloned());
        modules.push(module);
    }
    Ok(modules)
}

fn main() -> Result<()> {
    let args = Args::parse();
    let controller = Scope::new("controller");
    controller.create("fetch").start(PoolConfig::leased(8))?;
    // Every module needs this one: pushed before a worker asks.
    MODULES.at(controller.lineage()).publish("sync".to_string(), fetch("sync")?)?;

    let mut asked = Vec::new();
    let mut contexts = Vec::new();
    for branch in 0..args.branches {
        let branch = Scope::new_in(controller.lineage(), format!("branch {branch}"));
        // This branch has its own version of a module, which its workers alone find.
        MODULES
            .at(branch.lineage())
            .bind("clock".to_string(), Module { path: "(patched)".into(), lines: 1, depends_on: BTreeSet::new() })?;
        for worker in 0..args.workers {
            let worker = Scope::new_in(branch.lineage(), format!("worker {worker}"));
            for name in args.modules.clone() {
                let at = controller.lineage().clone();
                let ask = move || (resolve(&at, &name), name);
                asked.push(worker.run(|| heirloom::with("fetch", |fetch| fetch.submit(ask)))??);
            }
            contexts.push(worker);
        }
        contexts.push(branch);
    }

    let mut answers = BTreeSet::new();
    for task in asked {
        match task.join()? {
            (Ok(modules), name) => {
                let lines: usize = modules.iter().map(|module| module.lines).sum();
                let patched = modules.iter().filter(|module| module.path == "(patched)").count();
                answers.insert(format!("{name}: {} modules, {patched} of them patched, {lines} lines", modules.len()));
            }
            (Err(error), name) => {
                answers.insert(format!("{name}: {error}"));
            }
        }
    }
    answers.iter().for_each(|answer| println!("{answer}"));

    let requests = REQUESTS.lock().map_err(|_| "a fetch panicked")?.clone();
    println!(
        "\n{} look-ups by {} contexts, {} requests:",
        LOOK_UPS.load(Ordering::Relaxed),
        args.branches * args.workers,
        requests.len()
    );
    println!("  {}", requests.join(" "));
    let once: BTreeSet<_> = requests.iter().collect();
    if once.len() != requests.len() {
        return Err("a module was fetched twice".into());
    }
    Ok(())
}
