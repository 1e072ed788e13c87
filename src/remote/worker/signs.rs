//! Signs of life: three in each lease, to each process that this worker has work of. Three without an answer, the time of a
//! lease, mean that it is dead.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use crate::error::CancelReason;
use crate::pool::run::cancel_task;
use crate::remote::worker::begin;
use crate::remote::worker::run::{Run, Stage};
use crate::remote::worker::scopes::Key;
use crate::remote::worker::state::Worker;
use crate::remote::worker::tell;
use crate::sync::os::{Arc, Ordering};
use crate::threads::aside;
use crate::wire::address::{JobId, ProcessId};
use crate::wire::engine::Settlement;
use crate::wire::fault::Fault;
use crate::wire::link::Link;
use crate::wire::message::{self, Ask, Reply};

/// Repeats [`send`] while the worker lives.
pub(super) fn schedule(worker: &Arc<Worker>) {
    worker.after(worker.period(), |worker| {
        send(worker);
        schedule(worker);
    });
}

/// The jobs and scopes of one process.
#[derive(Default)]
struct Sign {
    jobs: Vec<u64>,
    scopes: Vec<u64>,
}

/// Sends a sign to each process that this worker has work of, and stops to follow the others.
pub(super) fn send(worker: &Arc<Worker>) {
    let Some(link) = worker.link().filter(|link| link.engine.is_connected()) else { return };
    let mut signs: HashMap<ProcessId, Sign> = HashMap::new();
    // Before the runs: a scope is made before its run, and after its process is followed.
    let cores = worker.cores();
    let mut used: HashSet<Key> = HashSet::new();
    for run in worker.runs() {
        let now = run.now.lock();
        used.extend(run.scope.keys.iter().cloned());
        if !matches!(now.stage, Stage::Settled) && !now.orphan {
            let sign = signs.entry(run.id.origin.clone()).or_default();
            // The origin knows no other ones.
            if now.granted {
                sign.jobs.push(run.id.number);
            }
            for process in run.path.processes() {
                signs.entry(process.clone()).or_default();
            }
        }
    }
    let followed: HashSet<ProcessId> = worker.state.lock().followed.keys().cloned().collect();
    let mut ends = Vec::new();
    for core in cores {
        core.scopes.each(|scope| {
            let Key { process, id } = scope.key();
            if followed.contains(process) {
                signs.entry(process.clone()).or_default().scopes.extend(id);
            }
        });
        // Of a dead process, and kept for jobs that outlive it and have ended now.
        let is_left = |key: &Key| !followed.contains(&key.process) && !used.contains(key);
        ends.extend(core.scopes.take(|scope| is_left(scope.key())));
    }
    if !ends.is_empty() {
        aside::run(move || ends.iter().for_each(|scope| scope.finish()));
    }
    unfollow(worker, &link, &signs);
    for (process, Sign { jobs, scopes }) in signs {
        let connect = worker.connects.load(Ordering::SeqCst);
        let (to, sent) = (process.clone(), jobs.clone());
        let answered = move |worker: &Arc<Worker>, outcome| answered(worker, &to, connect, &sent, outcome);
        worker.request(&process, &Ask::Sign { jobs, scopes }, worker.period() * 4 / 5, answered);
    }
}

/// Stops to follow the processes that nothing here is of.
fn unfollow(worker: &Worker, link: &Link, signs: &HashMap<ProcessId, Sign>) {
    let mut left = Vec::new();
    worker.state.lock().followed.retain(|process, presence| {
        // Of a new one the run may come after this look.
        let stays = std::mem::take(&mut presence.is_new) || signs.contains_key(process);
        if !stays {
            left.push(process.clone());
        }
        stays
    });
    for process in left {
        link.engine.unfollow(&process);
        // A delivery meanwhile has followed it again, maybe before this.
        if worker.state.lock().followed.contains_key(&process) {
            link.engine.follow(&process);
        }
    }
}

fn answered(worker: &Arc<Worker>, process: &ProcessId, connect: u64, sent: &[u64], outcome: Result<Bytes, Fault>) {
    match outcome {
        Ok(bytes) => {
            worker.lives(process);
            if let Some(Reply::Signed { stop, unknown, ended }) = message::decode(&bytes) {
                signed(worker, process, &stop, &unknown, &ended, sent);
            }
        }
        Err(fault @ (Fault::Gone | Fault::NoAnswer(_))) => {
            let is_gone = fault == Fault::Gone;
            // A silence that may be this process's own proves nothing.
            if worker.connects.load(Ordering::SeqCst) != connect || !worker.is_connected() {
                return;
            }
            let dead = {
                let mut state = worker.state.lock();
                let Some(presence) = state.followed.get_mut(process) else { return };
                presence.gone = is_gone && (presence.misses == 0 || presence.gone);
                presence.misses += 1;
                (presence.misses >= 3).then_some(presence.gone)
            };
            if let Some(is_certain) = dead {
                died(worker, process, is_certain);
            }
        }
        Err(_) => {}
    }
}

/// Does what the origin says about a sign.
fn signed(worker: &Arc<Worker>, process: &ProcessId, stop: &[u64], unknown: &[u64], ended: &[u64], sent: &[u64]) {
    stop_jobs(worker, process, stop, CancelReason::Request);
    for number in unknown.iter().filter(|number| sent.contains(number)) {
        let id = JobId { origin: process.clone(), number: *number };
        let run = worker.state.lock().runs.get(&id).cloned();
        // The end of one that tells it is confirmed all the same.
        if let Some(run) = run.filter(|run| matches!(run.now.lock().stage, Stage::Runs)) {
            begin::over(worker, &run, Settlement::Done);
        }
    }
    end_scopes(worker, process, ended);
}

/// Cancels jobs of a process.
pub(super) fn stop_jobs(worker: &Arc<Worker>, process: &ProcessId, jobs: &[u64], reason: CancelReason) {
    if jobs.is_empty() {
        return;
    }
    let runs: Vec<Arc<Run>> = {
        let state = worker.state.lock();
        let id = |number: &u64| JobId { origin: process.clone(), number: *number };
        jobs.iter().filter_map(|number| state.runs.get(&id(number)).cloned()).collect()
    };
    let tasks: Vec<_> = runs.iter().filter_map(|run| run.stop(reason)).collect();
    if !tasks.is_empty() {
        aside::run(move || tasks.iter().for_each(|task| drop(cancel_task::cancel(task, reason))));
    }
}

/// Cancels what stands below scopes of a process.
pub(super) fn stop_scopes(worker: &Arc<Worker>, process: &ProcessId, scopes: &[u64], reason: CancelReason) {
    let keys = || scopes.iter().map(|id| Key { process: process.clone(), id: Some(*id) });
    let stopped: Vec<_> = worker.cores().iter().flat_map(|core| core.scopes.get(keys())).collect();
    if !stopped.is_empty() {
        aside::run(move || {
            for scope in &stopped {
                scope.at.cancel_for(reason);
            }
        });
    }
}

/// Drops the scopes that have ended at their process.
pub(super) fn end_scopes(worker: &Arc<Worker>, process: &ProcessId, ended: &[u64]) {
    if ended.is_empty() {
        return;
    }
    let of = |key: &Key| key.process == *process && key.id.is_some_and(|id| ended.contains(&id));
    let taken: Vec<_> = worker.cores().iter().flat_map(|core| core.scopes.take(|scope| of(scope.key()))).collect();
    if !taken.is_empty() {
        aside::run(move || taken.iter().for_each(|scope| scope.finish()));
    }
}

/// A process is dead, or counts as dead. Its scopes here are cancelled and dropped, but for those with jobs that outlive it.
fn died(worker: &Arc<Worker>, process: &ProcessId, is_certain: bool) {
    worker.state.lock().followed.remove(process);
    if let Some(link) = worker.link() {
        link.engine.unfollow(process);
    }
    let (mut tasks, mut outliving) = (Vec::new(), Vec::new());
    for run in worker.runs() {
        if run.id.origin != *process {
            continue;
        }
        let (asks, tells) = {
            let mut now = run.now.lock();
            now.orphan |= matches!(now.stage, Stage::Runs);
            (matches!(now.stage, Stage::Asks { .. }), matches!(now.stage, Stage::Tells { .. }))
        };
        match (asks, tells, is_certain) {
            (true, _, true) | (_, true, true) => tell::settle(worker, &run, Settlement::Done),
            // It may be paused alone, and has the record.
            (true, _, false) => tell::settle(worker, &run, Settlement::GiveBack),
            (_, true, false) => {}
            _ if run.outlives_origin => outliving.push(run),
            _ => tasks.extend(run.stop(CancelReason::OwnerEnd)),
        }
    }
    let keeps = |scope: &Key| outliving.iter().any(|run| run.scope.keys.contains(scope));
    let of = |key: &Key| key.process == *process && !keeps(key);
    let scopes: Vec<_> = worker.cores().iter().flat_map(|core| core.scopes.take(|scope| of(scope.key()))).collect();
    aside::run(move || {
        tasks.iter().for_each(|task| drop(cancel_task::cancel(task, CancelReason::OwnerEnd)));
        for scope in &scopes {
            scope.at.cancel_for(CancelReason::OwnerEnd);
            scope.finish();
        }
    });
}
