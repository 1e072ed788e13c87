//! Threads, tasks and callbacks find the pools of their request. No function takes a pool as an argument.
//!
//! ```text
//! cargo run --example inherit
//! ```

use std::error::Error;

use heirloom::{Lineage, PoolConfig, Registry, Scope};

type Fallible<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Fallible {
    let _exit = heirloom::exit_guard();
    // `main` stands at the process, so all code finds the managers created here.
    heirloom::create("io").start(PoolConfig::leased(2))?;

    let first = open_request("request 1")?;
    let second = open_request("request 2")?;
    println!("The family:\n\n{}", Registry::global().tree());

    // The same function, run at two nodes, works with two pools.
    let pages = [first.run(render_page)?, second.run(render_page)?];
    assert_eq!(pages, ["<h1>request 1</h1> read for request 1", "<h1>request 2</h1> read for request 2"]);
    println!("{}\n{}\n", pages[0], pages[1]);

    for request in [first, second] {
        request.run(threads_and_callbacks)?;
        let report = request.stop()?; // every task submitted below it has ended
        assert!(report.is_complete());
        println!("{}: {report}", request.lineage());
    }
    Ok(())
}

/// A request owns a pool for its rendering; another request cannot find it.
fn open_request(name: &'static str) -> Fallible<Scope> {
    let request = Scope::new(name);
    request.create("render").start(PoolConfig::leased(4))?;
    Ok(request)
}

/// Knows neither the request nor the pools: it finds the pools of the node where it runs.
fn render_page() -> Fallible<String> {
    let title = heirloom::get("render")?.submit(|| format!("<h1>{}</h1>", request_name()))?;
    let body = heirloom::get("render")?.submit(|| {
        // A task of a task, in the process's pool. It still stands below the request.
        let read = heirloom::get("io")?.submit(|| format!("read for {}", request_name()))?;
        Fallible::Ok(read.join()?)
    })?;
    Ok(format!("{} {}", title.join()?, body.join()??))
}

/// The name of the nearest named node, from the current one upwards.
fn request_name() -> String {
    heirloom::current().ancestors().find_map(|node| node.name().map(String::from)).unwrap_or_default()
}

/// Threads and callbacks that take the node along, and one that does not.
fn threads_and_callbacks() -> Fallible {
    let request: Lineage = heirloom::current();

    // heirloom's threads are children of the node that starts them.
    let parent = heirloom::thread::scope(|s| s.spawn(|| heirloom::current().parent())?.join())?;
    assert_eq!(parent.as_ref(), Some(&request));

    // A plain thread stands below the process, whichever node starts it. `wrap` takes the node along.
    let here = heirloom::wrap(|| assert!(heirloom::get("render").is_ok()));
    std::thread::scope(|s| {
        s.spawn(|| assert!(heirloom::get("render").is_err() && heirloom::get("io").is_ok()));
        s.spawn(here);
        s.spawn(|| request.run(|| assert!(heirloom::get("render").is_ok()))); // the same by hand
    });
    Ok(())
}
