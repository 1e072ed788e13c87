use heirloom::{PoolConfig, Registry};
use std::time::Instant;
#[test]
fn cost() {
    let family = Registry::new();
    let root = family.root();
    let _ = root.create("io");
    let _ = root.create("held");
    let time = |what: &str| {
        let began = Instant::now();
        for _ in 0..100_000 {
            let _ = root.with("io", |m| m.is_running());
        }
        eprintln!("{what}: {:?} per look-up", began.elapsed() / 100_000);
    };
    time("before");
    let (tx, rx) = std::sync::mpsc::channel::<()>();
    let (up, ready) = std::sync::mpsc::channel::<()>();
    let at = root.clone();
    let t = std::thread::spawn(move || {
        let _ = at.with("held", |_| {
            let _ = up.send(());
            let _ = rx.recv();
        });
    });
    ready.recv().unwrap();
    drop(root.remove("held"));
    time("one lent and removed");
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| time("same, two threads"));
        }
    });
    drop(tx);
    t.join().unwrap();
    time("after");
    let _ = PoolConfig::leased(1);
}
