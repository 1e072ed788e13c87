//! The cache of threads: each job in line gets a thread or a refusal, and none is forgotten. The cache and its line are
//! the engine's own; the jobs are small ones.

use std::io;
use std::time::Duration;

use loom::sync::{Condvar, Mutex};

use crate::model::{keep, model};
use crate::sync::os::{Arc, thread};
use crate::threads::blocked::block_here;
use crate::threads::cache::Cache;
use crate::threads::job::{Job, WorkerHandle};
use crate::threads::settings::Settings;
use crate::wait::park;

/// Threads sleep until they are dismissed, or end as soon as they are idle.
#[derive(Clone, Copy)]
enum Idle {
    Stay,
    End,
}

fn cache(limit: usize, idle: Idle) -> Arc<Cache> {
    let keep_alive = match idle {
        Idle::Stay => None,
        Idle::End => Some(Duration::ZERO),
    };
    let cache = Cache::new(Settings {
        prefix: "model".into(),
        stack_size: None,
        keep_alive,
        limit,
        strict: false,
        private: true,
        policy: None,
        at_end: None,
    });
    keep(&cache);
    cache
}

/// A log of events, and a way to wait for them.
#[derive(Default)]
struct Seen {
    counts: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    begun: usize,
    done: usize,
    refused: usize,
}

impl Seen {
    fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait(&self, until: impl Fn(&Counts) -> bool) -> Counts {
        let mut counts = self.counts.lock().unwrap();
        while !until(&counts) {
            counts = self.changed.wait(counts).unwrap();
        }
        *counts
    }
}

/// A job with its step between begin and end.
struct Gig {
    seen: Arc<Seen>,
    body: fn(&Gig, &Arc<Cache>),
    cache: Arc<Cache>,
    /// The job that goes to the back of the line with it, if there is one.
    again: Option<Arc<Gig>>,
}

impl Job for Gig {
    fn work(self: Arc<Self>, worker: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>> {
        self.seen.change(|counts| counts.begun += 1);
        (self.body)(&self, &self.cache);
        self.seen.change(|counts| counts.done += 1);
        let again = self.again.as_ref()?;
        worker.others_wait().then(|| worker.next_turn(Arc::clone(again) as _))
    }

    fn refused(self: Arc<Self>, error: &io::Error) {
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        self.seen.change(|counts| counts.refused += 1);
    }
}

fn gig(seen: &Arc<Seen>, cache: &Arc<Cache>, body: fn(&Gig, &Arc<Cache>)) -> Arc<Gig> {
    Arc::new(Gig { seen: Arc::clone(seen), body, cache: Arc::clone(cache), again: None })
}

/// Requests a thread, and counts a refusal.
fn ask(cache: &Arc<Cache>, job: Arc<Gig>) {
    let seen = Arc::clone(&job.seen);
    if cache.request_thread(job).is_err() {
        seen.change(|counts| counts.refused += 1);
    }
}

fn wait_until_gone(cache: &Cache) {
    let listener = cache.gone().register();
    park::block_until(None, |waker| {
        listener.set(waker);
        cache.is_gone()
    });
}

/// Waits until each of `jobs` is done or refused, and until every thread is gone.
fn end(cache: &Arc<Cache>, seen: &Seen, jobs: usize) -> Counts {
    let counts = seen.wait(|counts| counts.done + counts.refused == jobs);
    cache.dismiss();
    wait_until_gone(cache);
    assert_eq!(seen.wait(|_| true).done, counts.done);
    assert_eq!(cache.stats().live, 0);
    counts
}

fn every_job_gets_a_thread(limit: usize, idle: Idle) {
    let cache = cache(limit, idle);
    let seen = Arc::new(Seen::default());
    let other = {
        let (cache, job) = (Arc::clone(&cache), gig(&seen, &cache, |_, _| {}));
        thread::spawn(move || ask(&cache, job))
    };
    ask(&cache, gig(&seen, &cache, |_, _| {}));
    other.join().unwrap();
    assert_eq!(end(&cache, &seen, 2).done, 2);
}

#[test]
fn every_job_gets_a_thread_also_from_a_single_one() {
    model(2, || every_job_gets_a_thread(1, Idle::Stay));
}

#[test]
fn every_job_gets_a_thread_where_there_may_be_several() {
    model(2, || every_job_gets_a_thread(2, Idle::Stay));
}

#[test]
fn a_thread_that_is_about_to_end_forgets_nobody() {
    model(2, || every_job_gets_a_thread(1, Idle::End));
}

#[test]
fn an_idle_thread_is_woken_for_the_next_job() {
    model(3, || {
        let cache = cache(1, Idle::Stay);
        let seen = Arc::new(Seen::default());
        for done in 1..=2 {
            ask(&cache, gig(&seen, &cache, |_, _| {}));
            seen.wait(|counts| counts.done == done);
        }
        assert_eq!(end(&cache, &seen, 2).done, 2);
        assert_eq!(cache.stats().started, 1);
    });
}

#[test]
fn being_woken_and_ending_for_idleness_do_not_miss_each_other() {
    model(3, || {
        let cache = cache(1, Idle::End);
        let seen = Arc::new(Seen::default());
        for done in 1..=2 {
            ask(&cache, gig(&seen, &cache, |_, _| {}));
            seen.wait(|counts| counts.done == done);
        }
        assert_eq!(end(&cache, &seen, 2).done, 2);
    });
}

#[test]
fn jobs_that_wait_for_one_another_all_get_a_thread() {
    model(2, || {
        let cache = cache(3, Idle::Stay);
        let seen = Arc::new(Seen::default());
        for _ in 0..2 {
            ask(
                &cache,
                gig(&seen, &cache, |gig, _| {
                    gig.seen.wait(|counts| counts.begun == 2);
                }),
            );
        }
        assert_eq!(end(&cache, &seen, 2).done, 2);
    });
}

#[test]
fn a_thread_that_waits_makes_room_for_another() {
    model(2, || {
        let cache = cache(1, Idle::Stay);
        let seen = Arc::new(Seen::default());
        // The first waits for the second, in a wait of heirloom's.
        ask(
            &cache,
            gig(&seen, &cache, |gig, _| {
                let waits = block_here();
                gig.seen.wait(|counts| counts.done == 1);
                drop(waits);
            }),
        );
        ask(&cache, gig(&seen, &cache, |_, _| {}));
        assert_eq!(end(&cache, &seen, 2).done, 2);
    });
}

#[test]
fn a_raised_limit_reaches_who_is_in_line() {
    model(2, || {
        let cache = cache(1, Idle::Stay);
        let seen = Arc::new(Seen::default());
        for _ in 0..2 {
            ask(
                &cache,
                gig(&seen, &cache, |gig, _| {
                    gig.seen.wait(|counts| counts.begun == 2);
                }),
            );
        }
        cache.set_limit(2);
        assert_eq!(end(&cache, &seen, 2).done, 2);
    });
}

#[test]
fn who_lets_others_have_their_turn_comes_back() {
    model(2, || {
        let cache = cache(1, Idle::Stay);
        let seen = Arc::new(Seen::default());
        let again = gig(&seen, &cache, |_, _| {});
        let first = Gig { seen: Arc::clone(&seen), body: |_, _| {}, cache: Arc::clone(&cache), again: Some(again) };
        let other = {
            let (cache, job) = (Arc::clone(&cache), gig(&seen, &cache, |_, _| {}));
            thread::spawn(move || ask(&cache, job))
        };
        ask(&cache, Arc::new(first));
        other.join().unwrap();
        // The job comes back only where others were in line.
        let done = seen.wait(|counts| counts.done >= 2).done;
        cache.dismiss();
        wait_until_gone(&cache);
        assert!(done <= 3 && seen.wait(|_| true).refused == 0);
        assert_eq!(Arc::strong_count(&seen), 1, "somebody is still in line");
    });
}

#[test]
fn when_the_system_refuses_a_thread_everybody_in_line_is_told() {
    model(2, || {
        let cache = cache(2, Idle::Stay);
        let seen = Arc::new(Seen::default());
        thread::refuse(1);
        let other = {
            let (cache, job) = (Arc::clone(&cache), gig(&seen, &cache, |_, _| {}));
            thread::spawn(move || ask(&cache, job))
        };
        ask(&cache, gig(&seen, &cache, |_, _| {}));
        other.join().unwrap();
        // The one refusal reaches one or both; a later job gets a thread.
        assert!(end(&cache, &seen, 2).refused >= 1);
        ask(&cache, gig(&seen, &cache, |_, _| {}));
        seen.wait(|counts| counts.done + counts.refused == 3);
        wait_until_gone(&cache);
    });
}

#[test]
fn when_the_system_refuses_a_second_thread_nobody_is_stranded() {
    model(2, || {
        let cache = cache(3, Idle::Stay);
        let seen = Arc::new(Seen::default());
        ask(&cache, gig(&seen, &cache, |_, _| {}));
        thread::refuse(1);
        let other = {
            let (cache, job) = (Arc::clone(&cache), gig(&seen, &cache, |_, _| {}));
            thread::spawn(move || ask(&cache, job))
        };
        ask(&cache, gig(&seen, &cache, |_, _| {}));
        other.join().unwrap();
        assert!(end(&cache, &seen, 3).done >= 1);
    });
}
