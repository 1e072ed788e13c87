//! The names that the system has for threads while they run tasks.

use std::sync::mpsc;

use heirloom::{PoolConfig, Scope, threads};

use crate::common::alone;

fn own_name() -> String {
    let name = std::fs::read_to_string("/proc/thread-self/comm").expect("the system tells");
    name.trim_end().to_owned()
}

#[test]
fn a_thread_has_the_name_of_its_task_while_it_runs_it() {
    alone(|| {
        let scope = Scope::new("test");
        let render = scope.create("render");
        render
            .start(PoolConfig::dedicated(1).thread_name_prefix("own").keep_alive(std::time::Duration::MAX))
            .expect("it starts");
        let seen = || render.submit_as("page", own_name).expect("accepted").join().expect("it runs");
        assert!(seen().starts_with("own"), "not wanted yet");
        threads::show_tasks(true);
        assert_eq!(seen(), "render:page");
        let plain = render.submit(own_name).expect("accepted").join().expect("it runs");
        assert_eq!(plain, "render");
        threads::show_tasks(false);
        assert!(seen().starts_with("own"), "it has its own name again");
    });
}

#[test]
fn a_long_name_is_cut_between_two_letters() {
    alone(|| {
        threads::show_tasks(true);
        let scope = Scope::new("test");
        let long = scope.create("renderer-of-ää");
        long.start(PoolConfig::leased(1)).expect("it starts");
        let (says, said) = mpsc::channel();
        drop(long.submit(move || says.send(own_name())).expect("accepted"));
        assert_eq!(said.recv().expect("it runs"), "renderer-of-ä");
    });
}
