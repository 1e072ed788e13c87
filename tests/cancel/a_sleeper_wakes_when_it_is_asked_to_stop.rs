//! `sleep` ends when the time is over or the sleeper is asked to stop, and holds up no pool.

use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use heirloom::{PoolConfig, Scope, thread};

use crate::common::bounded;
use crate::common::pools::started;

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn an_undisturbed_sleeper_sleeps_its_time() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        let time = Duration::from_millis(30);
        for sleeps in [
            pool.submit(move || (Instant::now(), heirloom::sleep(time), Instant::now())).expect("accepted").join().ok(),
            thread::spawn(move || (Instant::now(), heirloom::sleep(time), Instant::now()))
                .expect("a thread starts")
                .join()
                .ok(),
        ] {
            let (before, slept, after) = sleeps.expect("runs");
            assert!(slept.is_ok() && after - before >= time);
        }
    });
}

#[test]
fn a_sleeping_task_gives_its_place_to_the_next() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        let sleeper = pool.submit(|| heirloom::sleep(LONG)).expect("accepted");
        let next = pool.submit(|| "runs").expect("accepted");
        assert_eq!(next.join().expect("runs"), "runs");
        sleeper.cancel();
        assert!(sleeper.join().expect("runs").is_err());
    });
}

#[test]
fn many_sleepers_of_one_request_all_wake_and_others_sleep_on() {
    bounded(|| {
        let outside = Scope::new("outside");
        let pool = started(&outside, "pool", PoolConfig::leased(64));
        let (says, said) = channel();
        let sleepers = |scope: &Scope| -> Vec<_> {
            let sleeper = |_| {
                let says = says.clone();
                let sleep = move || {
                    says.send(()).expect("the test listens");
                    heirloom::sleep(LONG).is_err()
                };
                scope.run(|| pool.submit(sleep)).expect("accepted")
            };
            (0..20).map(sleeper).collect()
        };
        let (one, two) = (Scope::new_in(outside.lineage(), "one"), Scope::new_in(outside.lineage(), "two"));
        let (of_one, of_two) = (sleepers(&one), sleepers(&two));
        (0..40).for_each(|_| said.recv().expect("it runs"));
        drop(one);
        assert!(of_one.into_iter().all(|task| task.join().expect("runs")));
        assert!(of_two.iter().all(|task| !task.is_finished()));
        drop(two);
        assert!(of_two.into_iter().all(|task| task.join().expect("runs")));
    });
}

#[test]
fn a_request_at_every_height_wakes_a_sleeper_at_the_bottom() {
    bounded(|| {
        // Scopes and threads in turn, with no scope above the first thread.
        for asked in 0..6 {
            let (says, said) = channel();
            let top = thread::spawn(move || {
                says.send(heirloom::current()).unwrap();
                Scope::run("a", |_| {
                    let says = says.clone();
                    says.send(heirloom::current()).unwrap();
                    thread::spawn(move || {
                        says.send(heirloom::current()).unwrap();
                        thread::spawn(move || {
                            says.send(heirloom::current()).unwrap();
                            Scope::run("b", |_| {
                                says.send(heirloom::current()).unwrap();
                                thread::spawn(move || {
                                    says.send(heirloom::current()).unwrap();
                                    heirloom::sleep(LONG).is_err()
                                })
                                .expect("a thread starts")
                                .join()
                                .unwrap()
                            })
                        })
                        .expect("a thread starts")
                        .join()
                        .unwrap()
                    })
                    .expect("a thread starts")
                    .join()
                    .unwrap()
                })
            })
            .expect("a thread starts");
            let places: Vec<_> = said.iter().take(6).collect();
            places[asked].cancel();
            assert!(top.join().unwrap(), "a request at {} woke nobody", places[asked]);
        }
    });
}

#[test]
fn requests_and_sleeps_race_and_none_is_lost() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(2));
        for round in 0..500 {
            let request = Scope::new_in(scope.lineage(), "request");
            let task = request.run(|| pool.submit(|| heirloom::sleep(LONG))).expect("accepted");
            for _ in 0..round % 50 {
                std::hint::spin_loop();
            }
            drop(request);
            // It never ran, or it woke.
            assert!(!matches!(task.join(), Ok(Ok(()))));
        }
    });
}

#[test]
fn what_a_task_left_behind_is_woken_with_its_pool() {
    struct SleepsInItsDrop(Sender<()>, Sender<bool>);
    impl Drop for SleepsInItsDrop {
        fn drop(&mut self) {
            let _ = self.0.send(());
            let _ = self.1.send(heirloom::sleep(LONG).is_err());
        }
    }
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        let ((says, said), (wakes, woken)) = (channel(), channel());
        let (go, gate) = channel::<()>();
        let left = pool.submit(move || {
            let _ = gate.recv();
            SleepsInItsDrop(says, wakes)
        });
        drop(left); // nobody takes the result
        drop(go);
        said.recv().expect("it is dropped");
        std::thread::sleep(Duration::from_millis(20)); // most likely asleep
        pool.cancel();
        assert_eq!(woken.recv(), Ok(true));
    });
}
