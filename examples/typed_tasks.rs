//! A pool that takes one type of task: checked when it is submitted, or by the compiler.
//!
//! ```text
//! cargo run --example typed_tasks
//! ```

use std::error::Error;

use heirloom::{PoolConfig, SubmitErrorKind, TaskKind, TaskType};

fn main() -> Result<(), Box<dyn Error>> {
    by_name()?;
    gpu::start()?;
    by_type()
}

/// A name guards against mistakes.
fn by_name() -> Result<(), Box<dyn Error>> {
    let render = heirloom::create("render");
    render.start(PoolConfig::leased(2).task_type("component"))?;

    let html = render.submit_as("component", || "<p>hello</p>")?.join()?;
    println!("rendered {html}");

    // Everything else is refused before it is queued.
    let refused = match render.submit_as("thumbnail", || "no component") {
        Err(refused)
            if matches!(refused.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::UnknownTaskType { .. })) =>
        {
            refused
        }
        other => return Err(format!("the render pool took it: {other:?}").into()),
    };
    println!("refused: {refused}");
    assert!(!refused.is_temporary()); // trying again does not help

    // A submission without a type is one of another type. `try_submit` gives the closure back, to run elsewhere.
    let back = match render.try_submit(|| 6 * 7) {
        Err(refused) => refused.into_task(),
        Ok(task) => return Err(format!("the render pool took {task:?}").into()),
    };
    assert_eq!(back(), 42);

    // A handle of the type has every verb, and is kept where it is used.
    let components = render.of_type("component");
    let pages: Result<Vec<_>, _> = components.map(1..=3, |n| format!("<p>{n}</p>"))?.collect();
    println!("rendered {}", pages?.concat());

    let report = render.stop()?;
    assert_eq!(report.completed, 4);
    Ok(())
}

/// The only module that can make work for the GPU pool.
mod gpu {
    use heirloom::{PoolConfig, PoolManager, Task, TaskHandle, TaskKind, TaskType};

    /// Private: code outside cannot name it, so it cannot forge the type.
    struct Shader;
    impl TaskKind for Shader {}

    pub(crate) fn start() -> Result<(), heirloom::Error> {
        // One thread, its own: the thread-locals of a native library stay there.
        let config = PoolConfig::dedicated(1).thread_name_prefix("gpu").task_type(TaskType::of::<Shader>());
        heirloom::create("gpu").start(config)
    }

    /// The pixel, and the name of the thread that made it.
    pub(crate) type Shaded = (u32, Option<String>);

    pub(crate) fn shade(pixel: u32) -> Result<TaskHandle<Shaded>, Box<dyn std::error::Error>> {
        let manager: PoolManager = heirloom::get("gpu")?;
        let shader = manager.typed::<Shader>()?;
        let task: Task<Shader, _> = Shader::task(move || {
            let thread = std::thread::current().name().map(String::from);
            (pixel ^ 0x00ff_ffff, thread)
        });
        let accepted: Result<_, heirloom::Error> = shader.submit(task); // another kind's task does not compile here
        Ok(accepted?)
    }
}

/// A private type guards against intent too.
fn by_type() -> Result<(), Box<dyn Error>> {
    let (pixel, thread) = gpu::shade(0x00_12_34_56)?.join()?;
    println!("shaded to {pixel:06x} on thread {thread:?}");
    assert_eq!((pixel, thread.as_deref()), (0x00ed_cba9, Some("gpu-0")));

    // Code that finds the pool and is not of that module gets nothing into it.
    struct Mine;
    impl TaskKind for Mine {}
    let gpu = heirloom::get("gpu")?;
    assert!(gpu.submit(|| ()).is_err());
    assert!(gpu.submit_as("Shader", || ()).is_err());
    assert!(gpu.submit_as(TaskType::of::<Mine>(), || ()).is_err());
    assert!(gpu.typed::<Mine>().is_err());

    let report = gpu.stop()?; // its thread has ended
    assert_eq!((report.completed, report.is_complete()), (1, true));
    Ok(())
}
