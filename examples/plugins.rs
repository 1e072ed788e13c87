//! Heavy plugins, loaded on warm workers while the main thread already answers commands.
//!
//! A plugin is registered as a whole or not at all. One plugin makes its menu on the main thread, one fails and is tried
//! again.
//!
//! ```text
//! echo "sum 1 2 3" | cargo run --example plugins
//! cargo run --example plugins -- "sum 1 2 3" "upper heirloom" "roll 3" "menu"
//! ```

use std::error::Error;
use std::io::{BufRead, IsTerminal};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use heirloom::{Heirloom, HeirloomMap, PoolConfig, TaskHandle};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Finished plugins by the command they answer. A plugin in here is complete: a value is visible after its initialiser
/// has returned.
static PLUGINS: HeirloomMap<&'static str, Plugin> = HeirloomMap::new("plugins");

/// The state that each loading thread prepares once, before its first plugin: a parser, a connection, a licence.
static TABLES: Heirloom<Tables> = Heirloom::new("tables");

struct Tables {
    squares: Vec<u64>,
}

struct Plugin {
    about: String,
    answer: Box<dyn Fn(&str) -> String + Send + Sync>,
}

/// A plugin's own work. Slow, and it may fail half-way: then nothing of it was ever there.
fn load(name: &'static str) -> Result<Plugin> {
    // The state of this loading thread, by the edge from a task to the thread that runs it.
    let worker = heirloom::worker().ok_or("plugins are loaded on the loaders' threads")?;
    let tables = TABLES.at(&worker.lineage()).get()?;
    heirloom::sleep(Duration::from_millis(30))?; // reading, linking; ends at once when the program does
    let about = format!("loaded by loader {}", worker.index());
    let plugin = |answer: fn(&str) -> String| Plugin { about: about.clone(), answer: Box::new(answer) };
    match name {
        "sum" => Ok(plugin(|args| args.split(' ').filter_map(|n| n.parse::<i64>().ok()).sum::<i64>().to_string())),
        "upper" => Ok(plugin(str::to_uppercase)),
        "roll" => {
            static TRIES: AtomicU32 = AtomicU32::new(0);
            if TRIES.fetch_add(1, Ordering::Relaxed) == 0 {
                return Err("its licence server did not answer".into());
            }
            let squares = tables.squares.clone();
            let answer = move |n: &str| {
                n.trim().parse().ok().and_then(|n: usize| squares.get(n)).map_or_else(String::new, u64::to_string)
            };
            Ok(Plugin { about, answer: Box::new(answer) })
        }
        "menu" => {
            // A window belongs to the main thread. The initialiser waits for it there, and holds nothing meanwhile.
            let made_on = heirloom::get("main thread")?.submit(|| std::thread::current().id())?.join()?;
            let text = format!("a menu made on {made_on:?}");
            Ok(Plugin { about, answer: Box::new(move |_| text.clone()) })
        }
        other => Err(format!("there is no plugin \"{other}\"").into()),
    }
}

/// Loads a plugin on a loader, once for all callers that ask for it at the same time.
fn load_soon(name: &'static str) -> Result<TaskHandle<Result<()>>> {
    let loading = heirloom::get("loaders")?.submit(move || {
        PLUGINS.get_or_try_init(&name, || load(name))?;
        Ok(())
    })?;
    Ok(loading)
}

fn answer(line: &str) -> String {
    let (name, args) = line.split_once(' ').unwrap_or((line, ""));
    let known = ["sum", "upper", "roll", "menu"].into_iter().find(|known| *known == name);
    match known.map(|name| PLUGINS.get(&name)) {
        Some(Ok(plugin)) => format!("{} ({})", (plugin.answer)(args), plugin.about),
        Some(Err(_)) => "not loaded yet; ask again".to_string(),
        None => format!("no plugin answers \"{name}\""),
    }
}

fn main() -> Result<()> {
    let _exit = heirloom::exit_guard();
    // Both loaders are prepared when this returns, or it says why not.
    let config = PoolConfig::dedicated(2).thread_name_prefix("loader").warm(2).on_worker_start(|worker| {
        let squares = (0..1000).map(|n| n * n).collect();
        TABLES.at(&worker.lineage()).bind(Tables { squares }).map(drop)
    });
    heirloom::create("loaders").start(config)?;
    // Tasks submitted to "main thread" run here, when this thread says so.
    let main_thread = heirloom::create("main thread").start_local(PoolConfig::local())?;

    let mut registered = PLUGINS.subscribe();
    let mut loading: Vec<_> =
        ["sum", "upper", "roll", "menu"].into_iter().map(|name| Ok((name, load_soon(name)?))).collect::<Result<_>>()?;

    // The main thread answers from the beginning.
    let mut questions: Vec<String> = std::env::args().skip(1).collect();
    if questions.is_empty() && !std::io::stdin().is_terminal() {
        questions = std::io::stdin().lock().lines().collect::<std::io::Result<_>>()?;
    }
    if questions.is_empty() {
        questions = ["sum 1 2 3", "upper heirloom", "roll 12", "menu"].map(String::from).into();
    }
    for question in &questions {
        println!("> {question}\n{}", answer(question));
    }

    // Then it waits for each plugin in turn, and runs the tasks of this thread's local pool meanwhile.
    while let Some((name, task)) = loading.pop() {
        match main_thread.run_until(task)? {
            Ok(()) => {}
            Err(error) => {
                println!("{name} failed ({error}); trying again");
                loading.push((name, load_soon(name)?));
            }
        }
        while let Some(new) = registered.try_next() {
            println!("registered: {}, {}", new.key(), new.value().about);
        }
    }
    for question in &questions {
        println!("> {question}\n{}", answer(question));
    }
    Ok(())
}
