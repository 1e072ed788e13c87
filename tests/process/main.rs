//! Checks of how a process ends, forks and is refused threads; each plays in a child process, on its main thread.

#[path = "../common/mod.rs"]
mod common;

mod check;
#[cfg(unix)]
mod forks;

#[cfg(target_os = "linux")]
mod a_denied_barrier_is_made_up_for;
mod a_drain_ends_the_process;
#[cfg(unix)]
mod a_fork_leaves_the_pools_alone;
mod a_local_pool_does_not_hold_up_the_exit;
mod a_promise_outlives_no_process;
mod a_refused_thread_strands_nothing;
#[cfg(unix)]
mod a_task_does_not_return_in_a_fork;
#[cfg(all(unix, feature = "rayon"))]
mod a_work_stealing_pool_at_the_end_of_the_process;
mod an_exit_within_a_task_keeps_its_code;
mod joining_pools_finish_at_exit;
#[cfg(unix)]
mod nothing_waits_in_a_fork_for_the_parents_threads;
#[cfg(feature = "tokio")]
mod the_exit_guard_works_in_an_async_main;
mod the_main_thread_stands_at_the_process;
mod the_stack_of_a_thread_is_bounded;

/// Pairs each module's name with its list.
macro_rules! lists {
    ($($(#[$when:meta])* $module:ident,)*) => {
        &[$($(#[$when])* (stringify!($module), $module::CHECKS),)*]
    };
}

fn main() {
    check::main(lists![
        #[cfg(target_os = "linux")]
        a_denied_barrier_is_made_up_for,
        a_drain_ends_the_process,
        #[cfg(unix)]
        a_fork_leaves_the_pools_alone,
        a_local_pool_does_not_hold_up_the_exit,
        a_promise_outlives_no_process,
        a_refused_thread_strands_nothing,
        #[cfg(unix)]
        a_task_does_not_return_in_a_fork,
        #[cfg(all(unix, feature = "rayon"))]
        a_work_stealing_pool_at_the_end_of_the_process,
        an_exit_within_a_task_keeps_its_code,
        joining_pools_finish_at_exit,
        #[cfg(unix)]
        nothing_waits_in_a_fork_for_the_parents_threads,
        #[cfg(feature = "tokio")]
        the_exit_guard_works_in_an_async_main,
        the_main_thread_stands_at_the_process,
        the_stack_of_a_thread_is_bounded,
    ]);
}
