//! Work that no thread of a pool runs: a device with a queue of its own, behind promised tasks.
//!
//! ```text
//! cargo run --example promises
//! ```

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use heirloom::{Error, PoolConfig, Promise, Scope, TaskHandle};

/// A job on its way to the device.
struct Job {
    picture: String,
    /// The device has to draw this many lines, one each millisecond.
    lines: u32,
    promise: Promise<String>,
}

/// Stands for a driver: one thread, which knows no pool.
fn device(queue: mpsc::Receiver<Job>) {
    for Job { picture, lines, promise } in queue {
        if !promise.begin() {
            println!("device: \"{picture}\" was cancelled in the queue");
            continue;
        }
        let at = promise.lineage();
        let drawn = (0..lines).take_while(|_| !at.is_cancelled()).inspect(|_| thread::sleep(Duration::from_millis(1)));
        if drawn.count() < lines as usize {
            println!("device: \"{picture}\" was cancelled half way");
            promise.cancel();
        } else {
            promise.complete(format!("{picture}, {lines} lines"));
        }
    }
}

/// Hands a picture to the device. The task stands in the caller's scope.
fn draw(device: &mpsc::Sender<Job>, picture: &str, lines: u32) -> Result<TaskHandle<String>, Error> {
    let (promise, task) = heirloom::get("gpu")?.promise()?;
    let name = picture.to_owned();
    promise.on_end(move || println!("\"{name}\" is withdrawn"));
    // A device that is gone drops the job, and with it the promise: the task ends as abandoned.
    let _ = device.send(Job { picture: picture.to_owned(), lines, promise });
    Ok(task)
}

fn main() -> Result<(), Error> {
    // The limit does not bound promised tasks, and the queue does: 100 jobs wait for the device at most.
    let gpu = heirloom::create("gpu");
    gpu.start(PoolConfig::leased(1).queue_limit(100))?;
    let (jobs, queue) = mpsc::channel();
    let driver = thread::spawn(move || device(queue));

    // 1. A request waits for its picture, and a handle is a future too.
    let picture = Scope::run("request 1", |_| draw(&jobs, "a tree", 20)?.join())?;
    println!("request 1: {picture}");

    // 2. The client of the second request goes. The picture under way is cut short, and the queued one is withdrawn.
    let request = Scope::new("request 2");
    let (first, second) = request.run(|| (draw(&jobs, "a wood", 60_000), draw(&jobs, "a forest", 60_000)));
    let (first, second) = (first?, second?);
    while gpu.stats().running == 0 {
        thread::yield_now();
    }
    drop(request);
    for task in [first, second] {
        println!("request 2: {}", task.join().expect_err("the client is gone"));
    }

    // 3. The third request has no time.
    let request = Scope::new("request 3");
    request.deadline(Instant::now() + Duration::from_millis(10));
    let late = request.run(|| draw(&jobs, "a mountain", 60_000))?.join();
    println!("request 3: {:?}", late.expect_err("60 s are more than 10 ms").kind());
    request.finish();

    // 4. The device is lost with a job in its queue.
    drop(jobs);
    driver.join().expect("the driver does not panic");
    let (jobs, _) = mpsc::channel();
    println!("request 4: {:?}", draw(&jobs, "a lake", 1)?.join().expect_err("no device").kind());
    println!("{}", gpu.stop()?);
    Ok(())
}
