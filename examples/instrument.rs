//! A simulated microscope, with a camera and a stage, whose actions run one at a time.
//!
//! A client starts an action, gets its number at once, and then polls it, cancels it or reads its log. A gate lets one
//! action move or expose at a time. Reading the status does not enter the gate.
//!
//! Commands come from standard input, one a line:
//!
//! ```text
//! cargo run --example instrument --features task-log
//! move 40        start moving the stage by 40 steps; prints the action's number
//! scan 3         start three rows of move, then snap
//! snap           start taking a picture
//! focus          start focusing; a first cancel lets it finish its exposure, and a second one ends it
//! status         the stage's position, and the action that has the instrument
//! poll 1         how action 1 is doing
//! cancel 1       cancel it
//! log 1          its own last log lines
//! wait 1         until it has ended
//! rest 20        20 ms later
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::io::BufRead;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use heirloom::task_log::TaskLog;
use heirloom::{Gate, GateMode, Heirloom, PoolConfig, PoolManager, Scope, TaskHandle, TaskStatus};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Whatever moves or exposes takes its turn: found in the tree, so a second instrument would have its own.
static TURN: Heirloom<Gate> = Heirloom::new("turn");
static STAGE: Heirloom<Stage> = Heirloom::new("stage");

#[derive(Default)]
struct Stage {
    position: AtomicI64,
}

/// One step takes 1 ms; it can be stopped between two.
fn move_by(steps: i64) -> Result<String> {
    let _turn = TURN.enter(GateMode::Require)?; // within a scan this is the same turn
    let stage = STAGE.get()?;
    for _ in 0..steps.abs() {
        heirloom::sleep(Duration::from_millis(1))?;
        stage.position.fetch_add(steps.signum(), Ordering::Relaxed);
    }
    tracing::info!(position = stage.position.load(Ordering::Relaxed), "moved");
    Ok(format!("at {}", stage.position.load(Ordering::Relaxed)))
}

fn snap() -> Result<String> {
    let _turn = TURN.enter(GateMode::Require)?;
    tracing::info!("exposing");
    heirloom::sleep(Duration::from_millis(5))?;
    Ok(format!("picture at {}", STAGE.get()?.position.load(Ordering::Relaxed)))
}

fn scan(rows: i64) -> Result<String> {
    for row in 0..rows {
        tracing::info!(row, "scanning");
        move_by(10)?;
        snap()?;
    }
    Ok(format!("{rows} rows"))
}

/// Acknowledges a cancel in the middle of an exposure and goes on; the next cancel ends it.
fn focus() -> Result<String> {
    let mut declined = false;
    for sharpness in 0..1000 {
        match heirloom::sleep(Duration::from_millis(1)) {
            Ok(()) => {}
            Err(_) if !declined => {
                declined = heirloom::acknowledge_cancel();
                tracing::warn!(sharpness, "in the middle of an exposure: ask again to stop");
            }
            Err(cancelled) => return Err(cancelled.into()),
        }
    }
    Ok("in focus".to_string())
}

/// Reads only, so it does not enter the gate.
fn status() -> Result<String> {
    let position = STAGE.get()?.position.load(Ordering::Relaxed);
    let holder = TURN.get()?.holder();
    Ok(format!("stage at {position}, {}", holder.map_or("idle".to_string(), |holder| format!("busy: {holder}"))))
}

const DEMONSTRATION: &str = "move 500\nrest 20\nstatus\nsnap\nwait 2\ncancel 1\nwait 1\nscan 2\nwait 3\nlog 3\nfocus\nrest 20\n\
    cancel 4\nrest 20\npoll 4\ncancel 4\nwait 4\nlog 4\nstatus";

struct Instrument {
    /// Each action holds the gate for as long as it runs. An action that finds the gate held fails at once, and its
    /// error names the holder.
    actions: PoolManager,
    /// The same pool without the gate, for tasks that only read.
    reads: PoolManager,
    log: TaskLog,
    started: BTreeMap<u64, TaskHandle<Result<String>>>,
    ended: BTreeMap<u64, (heirloom::TaskId, String)>,
}

impl Instrument {
    fn start(&mut self, action: impl FnOnce() -> Result<String> + Send + 'static) -> Result<String> {
        let task = self.actions.submit(action)?;
        let number = (self.started.len() + self.ended.len() + 1) as u64;
        self.started.insert(number, task);
        Ok(format!("action {number} started"))
    }

    fn poll(&mut self, number: u64) -> Result<String> {
        if let Some((_, outcome)) = self.ended.get(&number) {
            return Ok(outcome.clone());
        }
        let task = self.started.get(&number).ok_or("there is no such action")?;
        match task.status() {
            TaskStatus::Finished => self.wait(number),
            TaskStatus::Queued => Ok("pending".to_string()),
            _ => Ok("running".to_string()),
        }
    }

    fn wait(&mut self, number: u64) -> Result<String> {
        if let Some(task) = self.started.remove(&number) {
            let id = task.id();
            let outcome = match task.join() {
                Ok(Ok(done)) => format!("completed: {done}"),
                Ok(Err(error)) if error.downcast_ref().is_some_and(heirloom::Error::is_cancelled) => {
                    "cancelled".to_string()
                }
                Ok(Err(error)) => format!("failed: {error}"),
                Err(error) => format!("failed: {error}"), // a panic, or busy before it began
            };
            self.ended.insert(number, (id, outcome));
        }
        self.ended.get(&number).map(|(_, outcome)| outcome.clone()).ok_or_else(|| "there is no such action".into())
    }

    fn log(&self, number: u64) -> Result<String> {
        let running = self.started.get(&number).map(TaskHandle::id);
        let id = running.or(self.ended.get(&number).map(|(id, _)| *id)).ok_or("there is no such action")?;
        let lines = self.log.lines(id);
        Ok(lines.iter().map(|line| format!("{line}")).collect::<Vec<_>>().join("\n"))
    }

    fn answer(&mut self, line: &str) -> Result<String> {
        let (command, argument) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let number = || argument.trim().parse::<u64>();
        match command {
            "move" => {
                let steps = argument.trim().parse()?;
                self.start(move || move_by(steps))
            }
            "scan" => {
                let rows = argument.trim().parse()?;
                self.start(move || scan(rows))
            }
            "snap" => self.start(snap),
            "focus" => self.start(focus),
            "status" => self.reads.run(status)?,
            "poll" => self.poll(number()?),
            "wait" => self.wait(number()?),
            "log" => self.log(number()?),
            "rest" => {
                std::thread::sleep(Duration::from_millis(number()?));
                Ok(String::new())
            }
            "cancel" => {
                let task = self.started.get(&number()?).ok_or("there is no such running action")?;
                Ok(format!("{:?}", task.cancel()))
            }
            other => Err(format!("no command \"{other}\"").into()),
        }
    }
}

fn main() -> Result<()> {
    let log = TaskLog::new().lines_per_task(100);
    tracing_subscriber::registry().with(log.clone()).init();

    let microscope = Scope::new("microscope");
    TURN.at(microscope.lineage()).bind(Gate::new("microscope"))?;
    STAGE.at(microscope.lineage()).bind(Stage::default())?;
    let actions = microscope.create("actions");
    actions.start(PoolConfig::leased(8).gate(&TURN, GateMode::Require))?;
    let reads = microscope.create("reads");
    reads.start(PoolConfig::leased(2).gate(&TURN, GateMode::Skip))?;

    let mut instrument = Instrument { actions, reads, log, started: BTreeMap::new(), ended: BTreeMap::new() };
    // Typed in, piped in, or a demonstration.
    let mut input = std::io::stdin().lock().lines().peekable();
    let lines: Box<dyn Iterator<Item = std::io::Result<String>>> = match input.peek() {
        Some(_) => Box::new(input),
        None => Box::new(DEMONSTRATION.lines().map(|line| Ok(line.to_string()))),
    };
    let _at = microscope.enter();
    for line in lines {
        let line = line?;
        match instrument.answer(&line) {
            Ok(answer) if answer.is_empty() => println!("> {line}"),
            Ok(answer) => println!("> {line}\n{answer}"),
            Err(error) => println!("> {line}\nerror: {error}"),
        }
    }
    // The microscope ends: running actions are cancelled.
    Ok(())
}
