//! `ManagerNotFound` names the place asked and what that stands below, and no other place. It says on request where else
//! the name exists. Asking in vain changes nothing, keeps nothing, and costs the same however many managers there are.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use heirloom::{Heirloom, PoolConfig, PoolManager, Registry, Scope, current};

use crate::common::{self, not_found};

#[test]
fn it_names_the_place_asked() {
    common::bounded(|| {
        let request = Scope::new("request 7");
        let error = request.get("no such name").expect_err("nobody has it");
        assert_eq!(not_found(&error).place_id, request.id());
        assert!(not_found(&error).place.starts_with(&request.to_string()), "{error}");
        assert_eq!(error.namespace(), Some(&"no such name".into()));
        assert!(not_found(&error).elsewhere().is_empty());
        let text = error.to_string();
        assert!(text.contains("no such name") && text.contains(&request.to_string()), "{text}");
    });
}

#[test]
fn the_free_function_names_where_the_code_stands() {
    common::bounded(|| {
        let request = Scope::new("request 8");
        let error = request.run(|| heirloom::get("no such name").expect_err("nobody has it"));
        assert_eq!(not_found(&error).place_id, request.id());
        let error = request.run(|| heirloom::with("no such name", |_| ()).expect_err("nobody has it"));
        assert_eq!(not_found(&error).place_id, request.id());
    });
}

#[test]
fn a_task_is_named_as_it_names_itself() {
    common::bounded(|| {
        let request = Scope::new("request 9");
        let pool = request.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (task, error) = pool
            .submit(|| (current(), heirloom::get("no such name").expect_err("nobody has it")))
            .expect("open")
            .join()
            .expect("ends");
        assert_eq!(not_found(&error).place_id, task.id());
        assert_eq!(not_found(&error).place, format!("{task} < {}", current()), "submitted by this thread");
    });
}

#[test]
fn it_says_on_request_where_else_the_name_exists() {
    common::bounded(|| {
        let family = Registry::new();
        let parent = Scope::new_in(&family.root(), "parent");
        let sibling = Scope::new_in(&parent, "sibling");
        let asker = Scope::new_in(&parent, "asker");
        let _theirs = sibling.create("render");
        let error = asker.get("render").expect_err("a sibling's is not found");
        assert_eq!(not_found(&error).elsewhere(), [sibling.to_string()]);
    });
}

#[test]
fn it_says_what_exists_when_it_is_asked() {
    common::bounded(|| {
        let family = Registry::new();
        let (sibling, asker) = (Scope::new_in(&family.root(), "sibling"), Scope::new_in(&family.root(), "asker"));
        let error = asker.get("render").expect_err("nobody has it");
        assert!(not_found(&error).elsewhere().is_empty());
        let _theirs = sibling.create("render");
        assert_eq!(not_found(&error).elsewhere(), [sibling.to_string()]);
        drop(sibling);
        assert!(not_found(&error).elsewhere().is_empty());
    });
}

#[test]
fn its_text_names_the_path_asked_and_no_other_place() {
    common::bounded(|| {
        let family = Registry::new();
        let tenant = Scope::new_in(&family.root(), "tenant");
        let other = Scope::new_in(&tenant, "another request");
        let asker = Scope::new_in(&tenant, "request");
        let _theirs = other.create("render");
        let error = asker.get("render").expect_err("a sibling's is not found");
        assert_eq!(not_found(&error).place, format!("{asker} < {tenant}"));
        for text in [error.to_string(), format!("{error:?}"), format!("{error:#?}")] {
            assert!(text.contains("tenant") && !text.contains("another request"), "{text}");
        }
    });
}

#[test]
fn a_long_path_is_cut() {
    common::bounded(|| {
        let family = Registry::new();
        let mut chain = vec![Scope::new_in(&family.root(), "outermost")];
        for above in 0..100 {
            chain.push(Scope::new_in(&chain[above], "inner"));
        }
        let error = chain[100].get("render").expect_err("nobody has it");
        assert_eq!(not_found(&error).place.matches("scope").count(), 8, "{error}");
        assert!(not_found(&error).place.ends_with(" < …"), "{error}");
    });
}

#[test]
fn it_keeps_nothing_alive() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let asker = Scope::new_in(&root, "asker");
        let (drops, dropped) = mpsc::channel();
        let error = asker.get("render").expect_err("nobody has it");
        static KEPT: Heirloom<Says> = Heirloom::new("kept");
        KEPT.at(&root).bind(Says(drops)).expect("open");
        drop((asker, family, root));
        assert_eq!(dropped.recv(), Ok(()), "the family has ended");
        assert!(not_found(&error).elsewhere().is_empty());
    });
}

/// Says when it is dropped.
struct Says(mpsc::Sender<()>);

impl Drop for Says {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// The old way looked at each manager: a thousand times as many cost a thousand times as much.
#[test]
fn asking_in_vain_costs_the_same_however_many_managers_there_are() {
    fn cost(managers: usize) -> Duration {
        let family = Registry::new();
        let others: Vec<Scope> = (0..managers).map(|_| Scope::new_in(&family.root(), "other")).collect();
        for other in &others {
            let _ = other.create("render");
        }
        let asker = Scope::new_in(&family.root(), "asker");
        let once = || {
            let begun = Instant::now();
            (0..50).for_each(|_| assert!(asker.get("render").is_err()));
            begun.elapsed()
        };
        (0..20).map(|_| once()).min().expect("measured")
    }
    common::bounded(|| {
        let (few, many) = (cost(10), cost(10_000));
        assert!(many < few * 20, "{few:?} with 10 managers elsewhere, {many:?} with 10 000");
    });
}

#[test]
fn it_says_where_below_the_name_exists() {
    common::bounded(|| {
        let family = Registry::new();
        let child = Scope::new_in(&family.root(), "child");
        let _theirs = child.create("render");
        let error = family.root().get("render").expect_err("a child's is not found");
        assert_eq!(not_found(&error).elsewhere(), [child.to_string()]);
    });
}

#[test]
fn it_names_no_place_of_another_family() {
    common::bounded(|| {
        let here = Registry::new();
        let there = Registry::new();
        let _theirs = there.root().create("render");
        let error = here.root().get("render").expect_err("another family's is not found");
        assert!(not_found(&error).elsewhere().is_empty(), "{error}");
    });
}

#[test]
fn a_manager_that_was_removed_exists_nowhere() {
    common::bounded(|| {
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "owner");
        let _held = scope.create("render");
        let removed = scope.remove("render");
        assert!(removed.is_some());
        // The handle still lives, but nobody finds the manager at the place that it once belonged to.
        let error = scope.get("render").expect_err("it was removed");
        assert!(not_found(&error).elsewhere().is_empty(), "{error}");
    });
}

#[test]
fn a_manager_that_was_replaced_and_removed_exists_nowhere() {
    common::bounded(|| {
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "owner");
        let asker = Scope::new_in(&family.root(), "asker");
        let held: Vec<PoolManager> = (0..3).map(|_| scope.create("render")).collect();
        let error = asker.get("render").expect_err("a sibling's is not found");
        assert_eq!(not_found(&error).elsewhere(), [scope.to_string()], "only the last one is still there to be found");
        drop(held);
    });
}

#[test]
fn a_place_that_ended_is_not_named() {
    common::bounded(|| {
        let family = Registry::new();
        let gone = Scope::new_in(&family.root(), "gone");
        let held = gone.create("render");
        drop(gone);
        let error = family.root().get("render").expect_err("its place has ended");
        assert!(not_found(&error).elsewhere().is_empty(), "{error}");
        drop(held);
    });
}

#[test]
fn many_places_are_named_but_not_all() {
    common::bounded(|| {
        let family = Registry::new();
        let owners: Vec<Scope> = (0..100).map(|_| Scope::new_in(&family.root(), "owner")).collect();
        for owner in &owners {
            let _ = owner.create("render");
        }
        let error = family.root().get("render").expect_err("children's are not found");
        assert_eq!(not_found(&error).elsewhere().len(), 8);
    });
}

#[test]
fn a_task_that_asks_in_vain_and_submits_itself_again_makes_no_chain() {
    fn step(pool: PoolManager, left: usize, done: mpsc::Sender<usize>) {
        // Asking attaches nothing to the task, so its successor stands where it stands itself.
        assert!(heirloom::get("no such name").is_err());
        if left == 0 {
            let _ = done.send(current().ancestors().count());
            return;
        }
        let next = pool.clone();
        drop(pool.submit(move || step(next, left - 1, done)).expect("open"));
    }
    common::bounded(|| {
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "request");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (done, depth) = mpsc::channel();
        scope.run(|| step(pool, 1_000, done));
        // The last task, the scope and the root.
        assert_eq!(depth.recv(), Ok(3));
    });
}
