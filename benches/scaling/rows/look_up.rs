//! Look-ups, and the changes that they must see.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

use heirloom::{HeirloomMap, Registry, Scope};

use super::super::judge::Row;
use super::super::measure::{best, each};
use super::{at_most, constant, linear};

pub(super) const ROWS: &[Row] = &[
    at_most(4_000, constant("replace a manager after so many threads have looked up and ended", replace_after_threads)),
    constant("get one of so many managers of a scope", get_among),
    linear("get each of so many managers of a scope", get_each),
    constant("get in vain at a scope with so many managers", get_in_vain_among),
    constant("get in vain with so many managers elsewhere", get_in_vain),
    constant("create and remove a manager beside so many in its scope", create_among),
    constant("replace one of so many managers of a scope", replace_among),
    linear("create so many managers in one scope", create_all),
    linear("remove so many managers of one scope", remove_all),
    constant("get again from so many scopes below", get_from_below),
    constant("get one of so many values of a map", value_among),
];

fn replace_after_threads(threads: usize) -> f64 {
    let family = Registry::new();
    let root = family.root();
    drop(root.create("io"));
    let (looked, ended) = (Barrier::new(threads), Barrier::new(threads));
    thread::scope(|scope| {
        for _ in 0..threads {
            let reader = || {
                root.with("io", |io| drop(black_box(io.clone()))).expect("it is there");
                // All records are in use at one time.
                looked.wait();
                ended.wait();
            };
            thread::Builder::new().stack_size(64 << 10).spawn_scoped(scope, reader).expect("the system has threads");
        }
    });
    // One thread that looks up and lives: a writer takes the way that it takes in a server.
    let (over, goes_on) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            drop(root.get("io"));
            goes_on.wait();
            over.wait();
        });
        goes_on.wait();
        let cost = best(20, |_| drop(root.create("io")));
        over.wait();
        cost
    })
}

fn scope_with(managers: usize) -> Scope {
    let scope = Scope::new("scope");
    (0..managers as u64).for_each(|name| drop(scope.create(name)));
    scope
}

fn get_among(managers: usize) -> f64 {
    let scope = scope_with(managers);
    let last = managers as u64 - 1;
    best(500, |_| drop(black_box(scope.get(last).expect("it is there"))))
}

fn get_each(managers: usize) -> f64 {
    let scope = scope_with(managers);
    each(managers, |name| drop(black_box(scope.get(name as u64).expect("it is there"))))
}

fn get_in_vain_among(managers: usize) -> f64 {
    let scope = scope_with(managers);
    best(200, |_| drop(black_box(scope.get("missing"))))
}

fn get_in_vain(managers: usize) -> f64 {
    let family = Registry::new();
    let scopes: Vec<_> = (0..managers).map(|_| Scope::new_in(&family.root(), "scope")).collect();
    scopes.iter().for_each(|scope| drop(scope.create("elsewhere")));
    let here = Scope::new_in(&family.root(), "here");
    best(200, |_| drop(black_box(here.get("missing"))))
}

fn create_among(managers: usize) -> f64 {
    let scope = scope_with(managers);
    best(100, |_| {
        drop(scope.create("another"));
        drop(scope.remove("another"));
    })
}

fn replace_among(managers: usize) -> f64 {
    let scope = scope_with(managers);
    let last = managers as u64 - 1;
    best(100, |_| drop(scope.create(last)))
}

fn create_all(managers: usize) -> f64 {
    let scope = Scope::new("scope");
    each(managers, |name| drop(scope.create(name as u64)))
}

fn remove_all(managers: usize) -> f64 {
    let scope = scope_with(managers);
    each(managers, |name| drop(scope.remove(name as u64)))
}

fn get_from_below(depth: usize) -> f64 {
    let mut chain = vec![Scope::new("outermost")];
    drop(chain[0].create("io"));
    for above in 0..depth {
        chain.push(Scope::new_in(&chain[above], "below"));
    }
    let cost = best(500, |_| drop(black_box(chain[depth].get("io").expect("it is above"))));
    while chain.pop().is_some() {}
    cost
}

fn value_among(values: usize) -> f64 {
    static MAP: HeirloomMap<u64, u64> = HeirloomMap::new("map");
    let scope = Scope::new("scope");
    let at = MAP.at(&scope);
    (0..values as u64).for_each(|key| drop(at.bind(key, key).expect("the scope lives")));
    let last = values as u64 - 1;
    best(500, |_| drop(black_box(at.get(&last).expect("it is bound"))))
}
