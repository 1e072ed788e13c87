//! Thread pools that run in the family.
//!
//! A server has one thread pool for each purpose: rendering, files, request handling. If all requests share them, a
//! slow job of one holds up another, and what belongs to a request (its id, its tracing span) is lost where its work
//! changes threads. If each request has its own, their handles go through every call. heirloom gives every thread, pool
//! task and request a place in a **family tree**, and finds pools **by name, walking up the tree from where the code
//! stands**. So a request can own its `"render"` pool: all that it starts, on whatever thread and however deep, finds
//! that one, and no other request can. Making a pool starts no thread; threads are borrowed while there are tasks.
//!
//! ```
//! use heirloom::{PoolConfig, Scope};
//!
//! type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
//!
//! fn main() -> Result<()> {
//!     heirloom::create("io").start(PoolConfig::leased(8))?; // the process's: everyone finds it
//!     let page = Scope::run("request 7", |request| {
//!         request.create("render").start(PoolConfig::leased(4))?; // this request's alone
//!         line_counts()
//!     })?; // all the tasks of the request have ended
//!     println!("{}", page.join("\n"));
//!     Ok(())
//! }
//!
//! /// Is passed no pool: it finds those of the request it stands in.
//! fn line_counts() -> Result<Vec<String>> {
//!     let count = |file: &'static str| {
//!         let text = heirloom::get("io")?.submit(move || std::fs::read_to_string(file))?.join()??;
//!         Ok(format!("{file}: {} lines", text.lines().count()))
//!     };
//!     heirloom::get("render")?.map(["Cargo.toml", "src/lib.rs"], count)?.map(|line| line?).collect()
//! }
//! ```
//!
//! Three words, from here on. A **manager** ([`PoolManager`]) is the named owner of at most one running **pool**; it
//! belongs to one **node** of the tree: the process, a thread, a task or a [`Scope`]. A [`Lineage`] is a handle to a
//! node. The page `docs/glossary.md` in the repository has all the words.
//!
//! The names are used with the crate's, as here, or come with `use heirloom::prelude::*` ([`prelude`]).
//!
//! # A scope for each request
//!
//! A [`Scope`] is a node for a request, a component, a tenant. It counts what is asked for below it, in any pool, so it
//! can end it: [`Scope::run`] comes back when all these tasks have ended (what it asked of *daemon* pools aside, see
//! [Ending](#ending)), and dropping a scope cancels what has not started and asks what runs to stop. Threads are asked
//! too, and not waited for: join them.
//!
//! ```
//! use heirloom::{PoolConfig, Scope};
//!
//! heirloom::create("io").start(PoolConfig::leased(8))?;
//!
//! let shop = Scope::new("shop");
//! let blog = Scope::new("blog");
//! shop.create("render").start(PoolConfig::leased(2))?;
//! blog.create("render").start(PoolConfig::leased(4))?;
//!
//! let places = || heirloom::with("render", |render| render.stats().max_workers);
//! assert_eq!(shop.run(places)?, 2); // the same code, each in its own family
//! assert_eq!(blog.run(places)?, 4);
//!
//! let io = heirloom::get("io")?;
//! let line = shop.run(|| io.submit(|| "sold"))?; // asked for by the shop
//! let report = shop.stop()?; // so it has ended here, although the pool is the process's
//! assert!(report.is_complete() && line.is_finished() && !blog.is_closed());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Finding by name
//!
//! | verb | does |
//! |---|---|
//! | [`get`] | the nearest manager of that name, at the current place or above it; an error that says where it was asked, and on request where else the name exists |
//! | [`get_or_create`] | the same; if nobody has it, creates one *here* |
//! | [`get_or_start`] | the nearest that *runs*; if none does, starts one for the whole family, at its root |
//! | [`create`] | always a new one, *here* |
//! | [`with`] | as `get`, lending the manager instead of cloning its handle |
//!
//! Each is also a method of [`Lineage`], and so of [`Scope`], which acts there instead of where the code stands. A name
//! is a [`Namespace`]: a text, a number or a Rust type. A place that has other names hides nothing above it; what a
//! sibling has is never found. A name may come from a client and hold anything: each text that prints it (an error, a
//! tree, a report, a log line) escapes what does not print as itself and cuts it after 100 characters. The whole name is in
//! [`Namespace::raw`] and [`Lineage::name`].
//!
//! Code that has its thread for itself (`main`, a thread, a task) has a place of its own; code that shares its thread
//! with other code, such as a future given to a runtime's `spawn`, stands at the process, and owns nothing until it is
//! given a place. [`current`] says how heirloom tells the two apart.
//!
//! Where code stands: `main` at the process; a thread of [`heirloom::thread`](thread) below the place that started it;
//! a task below the place that *submitted* it, whichever thread runs it. Any other thread stands directly below the
//! process, until [`Lineage::run`], [`Lineage::enter`] or [`wrap`] gives it a place.
//!
//! ```
//! use heirloom::{PoolConfig, Scope};
//!
//! let request = Scope::new("request 7");
//! request.create("render").start(PoolConfig::leased(2))?;
//!
//! request.run(|| {
//!     let finds = || heirloom::get("render").is_ok();
//!     assert!(heirloom::thread::spawn(finds).join().unwrap());
//!     assert!(!std::thread::spawn(finds).join().unwrap()); // nobody's child
//!     assert!(std::thread::spawn(heirloom::wrap(finds)).join().unwrap());
//! });
//!
//! let missing = heirloom::get("render").unwrap_err(); // we stand outside of it
//! assert_eq!(missing.elsewhere(), [request.to_string()]); // on request: its text names no other request
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Kinds of pools
//!
//! [`PoolConfig::leased`] borrows threads, as tasks arrive, from one process-wide cache ([`threads`]): the right one
//! unless there is a reason. [`PoolConfig::dedicated`] has threads of its own, which no other pool ever runs on: for
//! libraries that keep state in native thread-locals, for a stack size, for thread names. Both run at most `n` tasks at
//! once, started first in, first out, from a queue of their own.
//!
//! # Warm workers
//!
//! What is expensive to have on each thread (a loaded model, a library that wants its own thread) is made by
//! [`PoolConfig::on_worker_start`], once for each of a dedicated pool's threads and before any task. With
//! [`warm`](PoolConfig::warm) `start` returns when that many are ready, or fails. Tasks stand below whoever asked for
//! them; what belongs to the thread they run on they find through [`worker`].
//!
//! ```
//! use heirloom::{PoolConfig, Scope};
//!
//! let scope = Scope::new("speech");
//! let plugins = scope.create("plugins");
//! let config = PoolConfig::dedicated(2).warm(2).on_worker_start(|worker| {
//!     worker.lineage().create("decoder").start(PoolConfig::leased(1)) // one for each thread
//! });
//! plugins.start(config)?; // both are ready, or this is the initialiser's error
//!
//! let task = plugins.submit(|| heirloom::worker().is_some_and(|worker| worker.lineage().get("decoder").is_ok()))?;
//! assert!(task.join()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What tasks are to *use* on each thread, one at a time, such as a database connection, is a worker's state
//! ([`PoolConfig::worker_state`]). A task is lent it as `&mut`, and no more than `n` ever exist:
//!
//! ```
//! use heirloom::{PoolConfig, Scope};
//!
//! struct Connection; // of a database; it need not be `Send`
//!
//! impl Connection {
//!     fn open() -> std::io::Result<Self> {
//!         Ok(Self)
//!     }
//!
//!     fn query(&mut self, _sql: &str) -> usize {
//!         7
//!     }
//! }
//!
//! let scope = Scope::new("doc");
//! let db = scope.create("db");
//! db.start(PoolConfig::dedicated(4).worker_state(Connection::open))?;
//! let rows = db.submit_with_state(|connection: &mut Connection| connection.query("select 7"))?;
//! assert_eq!(rows.join()?, 7);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Pinned pools
//!
//! What must happen on one particular thread is submitted like everything else, by anyone, and runs when that thread
//! says so. [`PoolManager::start_pinned`] gives it the [`Pinned`] to say it with.
//!
//! ```
//! use heirloom::{PoolConfig, Scope};
//!
//! let app = Scope::new("app");
//! let ui = app.create("ui");
//! let pinned = ui.start_pinned(PoolConfig::pinned())?; // this thread's
//! app.create("work").start(PoolConfig::leased(4))?;
//!
//! let task = app.run(|| heirloom::get("work"))?.submit(move || ui.submit(|| "clicked").unwrap().join())?;
//! assert_eq!(pinned.run_until(task)??, "clicked"); // runs what is asked of this thread meanwhile
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Task types
//!
//! A pool may be picky. A name guards against mistakes; a private type, against intent too; [`TypedManager`] has the
//! compiler check it.
//!
//! ```
//! use heirloom::{PoolConfig, Scope, SubmitError, TaskKind, TaskType};
//!
//! struct Render; // private to its module: nobody else can make such a task
//! impl TaskKind for Render {}
//!
//! let scope = Scope::new("request 7");
//! let manager = scope.create("render");
//! manager.start(PoolConfig::leased(4).task_type(TaskType::of::<Render>()))?;
//!
//! let refused = manager.submit(|| "something else").map(drop);
//! assert!(matches!(refused, Err(SubmitError::UnknownTaskType { .. }))); // and nothing was queued
//!
//! let render = manager.typed::<Render>()?;
//! assert_eq!(render.submit(Render::task(|| "<p>hello</p>"))?.join()?, "<p>hello</p>");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Waiting
//!
//! The limit `n` bounds the tasks that have started and are not inside one of heirloom's waits. A task that waits gives
//! its place to the next one and goes on at once when its wait is over; a worker that joins a task of its own pool
//! which nobody has started runs that task, and no other, in place. So tasks may wait for tasks, in a pool of one too,
//! and at any depth: the thread's stack grows ([`threads::stack_limit`]), and what is too deep for that ends with an
//! error.
//!
//! ```
//! use heirloom::PoolConfig;
//!
//! # type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
//! fn fib(n: u64) -> Result<u64> {
//!     if n < 2 {
//!         return Ok(n);
//!     }
//!     let math = heirloom::get("math")?;
//!     let (a, b) = (math.submit(move || fib(n - 1))?, math.submit(move || fib(n - 2))?);
//!     Ok(a.join()?? + b.join()??)
//! }
//!
//! # fn main() -> Result<()> {
//! let math = heirloom::create("math");
//! math.start(PoolConfig::leased(1))?;
//! assert_eq!(math.run(|| fib(10))??, 55);
//! # Ok(())
//! # }
//! ```
//!
//! Waits that hold each other up for ever (two tasks that join each other, a task that stops a scope whose task waits for
//! a gate that it holds) are found by whichever closes the [`Circle`], however many threads are in it: one of them ends
//! with an error that names all of them, `WouldDeadlock`, or [`TaskError::is_deadlock`]. Seen are the untimed waits of
//! threads, for tasks, threads, pools, scopes, values, gates, room in a queue and a portal's future, and queued tasks
//! behind permits that are kept. Not seen are locks, channels, `std`'s joins, futures that await each other, and waits
//! with a deadline, which end by themselves.
//!
//! heirloom sees its own waits only. Put any other one (a channel, a lock, a socket, a `std` join) in [`blocking`]
//! where it could hold up the pool. [`PoolConfig::keeps_place`] gives no place away: with `n == 1` that is a strictly
//! serial pool.
//!
//! # Parallel loops
//!
//! A work-stealing pool (feature `rayon`, on by default) is a rayon pool on borrowed threads: `par_iter`, `join` and
//! `scope` inside of it use its threads, and in all else it is a pool like the others. It costs less than a plain rayon
//! pool, so a request can have its own; an idle one has no thread.
//!
//! ```
//! # #[cfg(feature = "rayon")] {
//! use heirloom::{PoolConfig, Scope};
//! use rayon::prelude::*;
//!
//! let request = Scope::new("request 7");
//! let pages = request.create("pages");
//! pages.start(PoolConfig::work_stealing(4))?;
//! let lengths: Vec<usize> = pages.install(|| ["a", "bc"].par_iter().map(|page| page.len()).collect())?;
//! assert_eq!(lengths, [1, 2]);
//!
//! // In a pool that requests share, code stands at the pool's owner: rayon may run it on top of another request's. The
//! // request's scope counts and cancels its tasks all the same.
//! let shared = heirloom::create("shared");
//! shared.start(PoolConfig::work_stealing(4))?;
//! let at = request.lineage(); // brought along
//! let found = shared.install(|| (0..9).into_par_iter().all(at.carry(|_| heirloom::get("pages").is_ok())))?;
//! assert!(found);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # One at a time
//!
//! A [`Gate`] lets in one at a time, like a lock, but refuses whoever has waited a little (50 ms) instead of queueing
//! work up: what cannot be had now is [`Busy`], with whoever is in. It belongs to the code of one task or thread, which
//! may enter it again; what that code starts may not. If the holder waits for whoever asks, the answer comes at once.
//!
//! Bound in the tree, a gate is for everything below: a pool runs its tasks under the nearest one
//! ([`PoolConfig::gate`]), and code enters it by its key.
//!
//! ```
//! use heirloom::{Gate, GateMode, Heirloom, PoolConfig, Scope};
//!
//! static INSTRUMENT: Heirloom<Gate> = Heirloom::new("instrument");
//!
//! let lab = Scope::new("lab");
//! INSTRUMENT.bind_at(&lab, Gate::new("stage and camera"))?;
//! lab.create("actions").start(PoolConfig::leased(4).gate(&INSTRUMENT, GateMode::Require))?;
//! lab.create("reads").start(PoolConfig::leased(4).gate(&INSTRUMENT, GateMode::Skip))?;
//!
//! let _at = lab.enter();
//! let inside = heirloom::get("actions")?.submit(|| INSTRUMENT.with(Gate::is_held))?;
//! assert!(inside.join()??); // the task was in
//! let held = INSTRUMENT.enter(GateMode::Require)?; // now this code is
//! let refused = heirloom::get("actions")?.submit(|| "never runs")?.join();
//! assert!(refused.is_err_and(|error| error.is_busy()));
//! assert_eq!(heirloom::get("reads")?.submit(|| "at 7 mm")?.join()?, "at 7 mm");
//! drop(held);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Ending
//!
//! The same verbs for a manager and for a scope, which applies them to the managers it owns *and* to every task asked
//! for below it:
//!
//! | verb | refuses new tasks | accepted tasks | waits |
//! |---|---|---|---|
//! | `close` | yes | joining: run. daemon: the queued ones are cancelled | no |
//! | `stop`, `stop_within`, `stop_async` | yes | the same | joining: until all have ended. daemon: no |
//! | `cancel` | yes | the queued ones are cancelled, the running ones are asked to stop | no |
//! | `wait_idle`, `wait_idle_within` (managers) | no | run | until nothing is queued or running |
//!
//! [`Registry::shutdown`] and [`shutdown`] stop a whole family by a deadline. Pools are *joining* unless
//! [`daemon`](PoolConfig::daemon) says otherwise. Every accepted task ends by value, by panic, or cancelled, and every
//! handle tells which. A panic is caught, reported through `tracing` and handed to whoever joins.
//!
//! ```
//! use heirloom::{PoolConfig, Scope};
//!
//! let scope = Scope::new("doc");
//! let mail = scope.create("mail");
//! mail.start(PoolConfig::leased(1))?;
//! drop(mail.submit(|| "sent")?); // detached: it runs all the same
//! let bad = mail.submit(|| -> u32 { panic!("no such address") })?;
//! assert_eq!(bad.join().unwrap_err().panic_message(), Some("no such address"));
//!
//! let report = mail.stop()?;
//! assert_eq!((report.completed, report.panicked), (1, 1));
//! assert!(mail.submit(|| ()).is_err());
//! mail.start(PoolConfig::leased(2))?; // a fresh start
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! When the process ends, joining pools finish what they accepted if `main` begins with `let _exit =
//! heirloom::exit_guard();` ([`exit_guard`], or [`run_main`]). Without it a hook does its best on Unix. Both wait for
//! 30 s at most ([`exit_deadline`]), and for a task that was asked to stop 1 s ([`exit_grace`]). An async `main` is run by
//! [`run_main_async`], or ends with [`ExitGuard::drain_async`].
//!
//! A fork's child has none of the parent's threads, so nothing of the parent's runs there and nothing waits for it:
//! - Pools refuse to start and to take tasks (`Forked`), if the parent had started one. A join of the parent's task, thread
//!   or future is an error at once, a gate that is held in the parent is [`Busy`], and `stop`, `wait_idle` and the exit
//!   guard end at once. A value that another thread was initialising is initialised anew.
//! - A task that forked does not return in the child: where its body ends, the process ends, with code 0 (101 after a
//!   panic) and a line on stderr. So does the initialiser of a worker.
//! - [`PoolManager::scope`] cannot return in the child before its tasks have ended, which they never do: it aborts.
//!
//! A lock that another thread held for a moment stays locked in the child, as with any library: call `exec` or `_exit`
//! there as soon as possible, or fork before the first pool is started.
//!
//! # Asking work to stop
//!
//! A request to stop is made to a place and holds for everything below it: [`Scope::cancel`] (also by dropping the
//! scope) for a request, [`TaskHandle::cancel`] for a task, [`PoolManager::cancel`] for a pool's tasks, a thread's
//! [`JoinHandle::cancel`](thread::JoinHandle::cancel), [`Lineage::cancel`] for any place. What has not started never
//! will. What runs notices where it looks: [`checkpoint`] is for `?`, [`sleep`] wakes at once, [`cancelled`] is for
//! async code.
//!
//! ```
//! use std::time::Duration;
//! use heirloom::{Cancelled, PoolConfig, Scope};
//!
//! /// Needs no token: it stands in the request it works for.
//! fn scan(lines: u32) -> Result<u32, Cancelled> {
//!     for line in 0..lines {
//!         heirloom::checkpoint()?; // a few nanoseconds
//!         if line % 100 == 99 {
//!             heirloom::sleep(Duration::from_millis(1))?; // gives its place in the pool away
//!         }
//!     }
//!     Ok(lines)
//! }
//!
//! heirloom::create("io").start(PoolConfig::leased(4))?;
//! let request = Scope::new("request 7");
//! let scanned = request.run(|| heirloom::get("io")?.submit(|| scan(u32::MAX)).map_err(Box::<dyn std::error::Error>::from))?;
//! # while scanned.status() == heirloom::TaskStatus::Queued { std::thread::yield_now() }
//! drop(request); // the client is gone
//! assert_eq!(scanned.join()?.unwrap_err().to_string(), "cancelled: the task, or a place above it, was asked to stop");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A request stays until the task or thread it was made to declines it ([`acknowledge_cancel`]); then it can be asked
//! again. [`TaskHandle::join_cancelling`] waits for a child and passes requests on to it;
//! [`thread::Builder::isolated`] starts a thread that hears of none but its own.
//!
//! A wait that heirloom does not see (a database's statement, a child process) ends with a request too, if it can be
//! told to end from outside: [`on_cancel`] runs code when the request comes.
//!
//! Where a request was heard it is heard again: in clean-up that runs because of one, [`sleep`] comes back at once, and
//! below a scope that was cancelled no pool takes a task. Clean-up that needs a pool submits it from outside:
//! `Lineage::process().run(|| heirloom::get("io")?.submit(…))`.
//!
//! # Values that travel
//!
//! A [`Heirloom`] is a key under which a value is bound at a place and found from everywhere below it, the nearest
//! first: a request's id, a tenant's settings, a database handle. A [`HeirloomMap`] has one for each of its keys.
//!
//! ```
//! use heirloom::{Heirloom, HeirloomMap, PoolConfig, Scope};
//!
//! static REQUEST: Heirloom<u64> = Heirloom::new("request");
//! static TEMPLATES: HeirloomMap<&str, String> = HeirloomMap::new("templates");
//!
//! fn page() -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
//!     // Read once, however many requests ask at once; the others wait.
//!     let home = TEMPLATES.get_or_try_init(&"home", || std::fs::read_to_string("Cargo.toml"))?;
//!     Ok(format!("{} lines for request {}", home.lines().count(), REQUEST.get()?))
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let render = heirloom::create("render");
//! render.start(PoolConfig::leased(2))?;
//! let request = Scope::new("request");
//! REQUEST.bind_at(&request, 7_u64)?;
//! let task = request.run(|| render.submit(page))?; // on another thread, below the request
//! assert!(task.join()??.ends_with("lines for request 7"));
//! assert!(REQUEST.get().is_err()); // out here nobody has one
//! # Ok(())
//! # }
//! ```
//!
//! A key says who inherits: [`inherited`](Heirloom::inherited), [`isolated`](Heirloom::isolated) or
//! [`fresh`](Heirloom::fresh). An initialiser ([`get_or_init`](Heirloom::get_or_init)) runs once for its owner, the
//! process or the place that [`at`](Heirloom::at) names, and stands there; its failure reaches everyone who waits, and
//! a wait that would never end, because the initialiser itself waits for whoever asks, is an error at once. A value can
//! be pushed ([`publish`](HeirloomMap::publish)), a key sealed ([`seal`](Heirloom::seal)), its bindings followed
//! ([`subscribe`](Heirloom::subscribe)). A scope drops its values when it has ended.
//!
//! # Async handlers
//!
//! A [`TaskHandle`] is a future on any runtime. [`FutureExt::in_scope`] makes a future stand in its scope on every
//! poll, on whichever thread: finished, the scope closes; dropped early, it is cancelled, and what it queued never
//! runs. None of these waits on the runtime's thread; what does has an async form, below. What they drop is user code,
//! though, and runs on the runtime's thread: the closures of the tasks that they cancel, and the values bound in the
//! scope.
//!
//! What a runtime's own `spawn` starts shares its threads with other code, so it stands at the process, also when a
//! handler calls it, and owns nothing there. `heirloom::spawn`, `heirloom::spawn_blocking` and `heirloom::JoinSet`
//! (feature `tokio`) start it at the caller's place instead, where the scopes count it, wait for it and cancel it;
//! [`FutureExt::in_lineage`] takes the place along on any runtime. The page `docs/other-runtimes.md` in the repository
//! says what to call once for smol, async-std, actix, rayon's global pool and others ([`thread::mark_shared`]), and
//! `docs/after-the-response.md` where the work of a WebSocket, an upgrade and `tower::Buffer` stands.
//!
//! ```
//! use heirloom::{FutureExt, PoolConfig, Scope};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! async fn handler() -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
//!     let render = heirloom::create("render"); // at the request
//!     render.start(PoolConfig::leased(2))?;
//!     let head = render.submit(|| "<h1>7</h1>")?.await?;
//!     let body = heirloom::get("render")?.submit_async(|| "<p>hello</p>").await?.await?; // waits for room in a bounded queue
//!     Ok(format!("{head}{body}"))
//! }
//!
//! # let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
//! # runtime.block_on(async {
//! let task = tokio::spawn(handler().in_scope(Scope::new("request 7")));
//! assert_eq!(task.await??, "<h1>7</h1><p>hello</p>");
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! These wait, and block their thread; on a runtime's there is the other one of the row, which may be dropped at any
//! time, or the runtime's `spawn_blocking`:
//!
//! | blocks | async |
//! |---|---|
//! | [`TaskHandle::join`] | `.await` of the handle |
//! | [`TaskHandle::join_within`] | the runtime's `timeout` around `&mut handle` |
//! | [`TaskHandle::join_cancelling`] | [`join_cancelling_async`](TaskHandle::join_cancelling_async) |
//! | [`TaskSet::join_next`], [`join_next_within`](TaskSet::join_next_within) | [`TaskSet::next`] |
//! | [`PoolManager::start`], [`ensure_started`](PoolManager::ensure_started), [`get_or_start`] with warm workers | [`start_async`](PoolManager::start_async), [`ensure_started_async`](PoolManager::ensure_started_async), [`get_or_start_async`] |
//! | [`PoolManager::submit_within`] | [`submit_async`](PoolManager::submit_async) |
//! | [`PoolManager::run`], `install` | [`submit`](PoolManager::submit), and `.await` |
//! | [`PoolManager::map`]'s iterator | [`Map::next_async`] |
//! | [`PoolManager::stop`], [`stop_within`](PoolManager::stop_within), and a scope's | [`stop_async`](PoolManager::stop_async), [`Scope::stop_async`] |
//! | [`PoolManager::wait_idle`], [`wait_idle_within`](PoolManager::wait_idle_within) | [`wait_idle_async`](PoolManager::wait_idle_async) |
//! | [`Scope::run`] | [`FutureExt::in_scope`], [`Scope::stop_async`] |
//! | [`PoolManager::scope`], [`thread::scope`] | none: what borrows must not outlive a future that is dropped; tasks that own what they use |
//! | [`shutdown`], [`Registry::shutdown`] | [`shutdown_async`], [`Registry::shutdown_async`] |
//! | [`thread::JoinHandle::join`] | [`join_async`](thread::JoinHandle::join_async) |
//! | [`Heirloom::get_or_init`], [`get_or_try_init`](Heirloom::get_or_try_init), and a map's, where another initialises | [`get_or_init_async`](Heirloom::get_or_init_async), [`get_or_try_init_async`](Heirloom::get_or_try_init_async) |
//! | [`Gate::enter`], [`enter_within`](Gate::enter_within), and by a key | [`enter_async`](Gate::enter_async), [`enter_within_async`](Gate::enter_within_async) |
//! | [`Subscription`]'s iterator, [`next_within`](Subscription::next_within) | [`Subscription::recv`] |
//! | [`sleep`] | the runtime's `sleep`, beside [`cancelled`] |
//! | [`Pinned`]'s `run_*` | [`Pinned::on_pending`] and [`run_pending`](Pinned::run_pending), in an event loop |
//! | `Portal::block_on`, `PortalHandle::join` | `.await` of the future |
//! | dropping an [`ExitGuard`], [`run_main`] | [`ExitGuard::drain_async`], [`run_main_async`] |
//! | [`blocking`] | `spawn_blocking` |
//!
//! Where a runtime's thread blocks all the same, and what it waits for needs that very runtime (a task that waits behind a
//! portal), the wait is told so with the [`Circle`] of waits (feature `tokio`): on a `current_thread` runtime always, on
//! another when all of its workers are blocked so. Not seen is that in `tokio::task::unconstrained`.
//!
//! A time limit that drops a handle detaches its task. `timeout(limit, handle.cancel_on_drop())` ends one task at the
//! limit ([`CancelOnDrop`]), and `timeout(limit, part().in_scope(Scope::new("part")))` all that a part of a request
//! asked for. A stop with a limit is `timeout(limit, scope.stop_async())`,
//! after which `scope.stop_within(Duration::ZERO)` reports what is left.
//!
//! # In a server
//!
//! With the feature `tower` there is `heirloom::tower::ScopeLayer`: it gives each request of a `tower` service, such as
//! axum's or tonic's, a scope of its own, on any runtime. When the client goes away, or the request has reached its time
//! limit, what it asked for is cancelled, in every pool.
//!
//! ```
//! # #[cfg(feature = "tower")]
//! # fn app() {
//! use std::time::Duration;
//! use axum::{Router, extract::Request, routing::get};
//! use heirloom::tower::ScopeLayer;
//!
//! let scopes = ScopeLayer::new()
//!     .name(|request: &Request| request.uri().path().to_string())
//!     .limit(1000) // the next is answered at once: 503
//!     .timeout(Duration::from_secs(30)) // then: 504
//!     .until_body_end(); // for streams
//! let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(scopes);
//! # }
//! ```
//!
//! The page of the module `heirloom::tower`, "Where to put the layer", has a table: beside which layers and calls a
//! request's work ends, and when.
//!
//! With the feature `tokio` there is `heirloom::Portal`, the way back: a pool's task runs async code on the server's
//! runtime, and waits for it.
//!
//! ```
//! # #[cfg(feature = "tokio")]
//! # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! use std::time::Duration;
//! use heirloom::{Lineage, PoolConfig, Portal};
//!
//! let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build()?; // the server's
//! Portal::new(runtime.handle()).bind_at(&Lineage::process())?; // everyone finds it
//!
//! let work = heirloom::create("work");
//! work.start(PoolConfig::leased(2))?;
//! let task = work.submit(|| heirloom::portal()?.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await }))?;
//! task.join()??;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tokio"))]
//! # fn main() {}
//! ```
//!
//! At its end a server lets open requests finish (they may still submit), then cancels what takes too long, then calls
//! [`shutdown`] and prints what that reports. To have something to cancel, give all requests one scope to stand below:
//!
//! ```
//! # #[cfg(feature = "tower")]
//! # fn end() {
//! use heirloom::{Scope, tower::ScopeLayer};
//! use std::time::Duration;
//!
//! let requests = Scope::new("requests");
//! let scopes = ScopeLayer::new().below(requests.lineage());
//! # drop(scopes);
//! // … the server serves, is told to end, and has waited for its open requests
//! requests.cancel();
//! println!("{}", heirloom::shutdown(Duration::from_secs(10)));
//! heirloom::on_exit(heirloom::ExitPolicy::Abandon); // or what still runs is waited for once more
//! # }
//! ```
//!
//! # Testing a handler
//!
//! Whoever looks pools up by name gets those of the family where it stands, so a test gives it one of its own. Tests of
//! one process do not meet:
//!
//! ```
//! use heirloom::{PoolConfig, Registry, Scope};
//!
//! fn page() -> Result<usize, Box<dyn std::error::Error>> {
//!     Ok(heirloom::get("render")?.submit(|| "<h1>7</h1>".len())?.join()?)
//! }
//!
//! let family = Registry::new();
//! family.root().create("render").start(PoolConfig::leased(1))?; // found by all below
//! let request = Scope::new_in(&family.root(), "request 7"); // async: `handler().in_scope(request)`
//! assert_eq!(request.run(page)?, 10);
//! assert!(page().is_err()); // out here nobody has it
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A whole service is tested with its layer [`below`](Scope::new_in) such a root:
//! `ScopeLayer::new().below(&family.root())`.
//!
//! # Seeing the family
//!
//! `println!("{}", heirloom::Registry::global().tree())` prints who stands where, with each node's managers:
//!
//! ```text
//! process (node 1)
//! │  "io": leased joining, 1 running/0 waiting/0 queued, limit 8
//! └─ scope "request 7" (node 2), 3 pending
//!       "render": leased joining, 1 running/1 waiting/0 queued, limit 4
//! ```
//!
//! With the feature `inspector`, `heirloom::inspector::router()` is an axum router with a page that shows the same
//! live, with a mark where a queue grows or a wait is old. It asks nobody who they are: mount it behind what guards
//! your pages for operators.
//!
//! ```
//! # #[cfg(feature = "inspector")]
//! # {
//! let app: axum::Router = axum::Router::new().nest_service("/family", heirloom::inspector::router());
//! # drop(app);
//! # }
//! ```
//!
//! With the feature `serde`, a [`Snapshot`] serialises, in a shape that its docs promise:
//!
//! ```
//! # #[cfg(feature = "serde")]
//! # {
//! let snapshot = serde_json::to_value(heirloom::Registry::global().snapshot())?;
//! assert_eq!(snapshot["nodes"][0]["kind"], "process");
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With the feature `metrics`, `heirloom::metrics::Publisher` gives gauges and counters of every pool, by name and task
//! type, to whatever recorder of the `metrics` facade there is:
//!
//! ```
//! # #[cfg(feature = "metrics")]
//! # {
//! use heirloom::{Registry, metrics::Publisher};
//!
//! Publisher::new(Registry::global()).publish();
//! # }
//! ```
//!
//! What a task says through `tracing` can be kept by its id: with the feature `task-log` there is `heirloom::task_log`,
//! a layer for `tracing-subscriber` that keeps the last lines of each task.
//!
//! # What is where
//!
//! | for | see |
//! |---|---|
//! | the tree | [`current`], [`Lineage`], [`Entered`], [`NodeKind`], [`Ancestors`], [`wrap`], [`wrap_fn`], [`thread`] |
//! | scopes | [`Scope`]; for futures [`FutureExt`], [`InScope`], [`InLineage`] |
//! | finding managers | [`get`], [`get_or_create`], [`get_or_start`], [`get_or_start_async`], [`create`], [`with`], [`Namespace`] |
//! | parallel loops | with the feature `rayon` `PoolConfig::work_stealing`, `PoolManager::install`; [`Lineage::carry`] |
//! | starting and submitting | [`PoolManager`], [`PoolConfig`], [`PoolKind`], [`PoolMode`], [`PoolStats`] |
//! | work for one thread | [`PoolManager::start_pinned`], [`PoolConfig::pinned`], [`Pinned`] |
//! | threads of a dedicated pool | [`worker`], [`WorkerCtx`], [`PoolConfig::on_worker_start`], [`PoolConfig::warm`], [`PoolConfig::worker_state`], [`PoolManager::submit_with_state`], [`StatefulManager`] |
//! | tasks | [`TaskHandle`], [`CancelOnDrop`], [`TaskStatus`], [`CancelOutcome`], [`TaskSet`], [`Map`], [`blocking`] |
//! | asking to stop | [`checkpoint`], [`is_cancelled`], [`sleep`], [`cancelled`], [`on_cancel`], [`OnCancel`], [`acknowledge_cancel`], [`Cancelled`] |
//! | values | [`Heirloom`], [`HeirloomAt`], [`HeirloomMap`], [`HeirloomMapAt`], [`OnFailure`], [`Subscription`], [`Bound`], [`NotBound`], [`BindError`], [`InitError`] |
//! | tasks that borrow | [`PoolManager::scope`], [`TaskScope`], [`ScopedHandle`], [`PoolManager::run`] |
//! | task types | [`TaskType`], [`TaskKind`], [`Task`], [`TypedManager`] |
//! | one at a time | [`Gate`], [`GateGuard`], [`GateMode`], [`Holder`]; for pools [`PoolConfig::gate`] |
//! | ending | [`StopReport`], [`RunningTask`], [`shutdown`], [`ShutdownReport`], [`PoolReport`] |
//! | the end of the process | [`exit_guard`], [`run_main`], [`run_main_async`], [`exit_deadline`], [`exit_grace`], [`on_exit`], [`ExitPolicy`] |
//! | looking | [`Registry`], [`Tree`], [`Snapshot`], [`NodeSnapshot`], [`ManagerSnapshot`]; with the feature `inspector` `inspector::{router, Inspector}`, with `metrics` `metrics::{Publisher, Publishing}` |
//! | servers | with the feature `tower` `tower::{ScopeLayer, ScopeUsage, ScopeService, ScopeFuture, ScopedBody, RequestTimedOut}`; with the feature `tokio` `spawn`, `spawn_blocking`, `SpawnHandle`, `JoinSet`, `JoinError`, `SpawnError`, `portal`, `Portal`, `PortalHandle`, `PortalError` |
//! | logs of tasks | [`task_id`]; with the feature `task-log` `task_log::{TaskLog, Record, LogLine}` |
//! | borrowed threads | [`threads`] |
//! | waits that hold each other up | [`Circle`], [`Link`], [`WouldDeadlock`] |
//! | errors | [`Error`], which all of these convert into: [`ManagerNotFound`], [`StartError`], [`SubmitError`], [`Refused`], [`TaskError`], [`StopError`], [`Busy`], [`EnterError`], [`UnknownTaskType`], [`TimedOut`] |
//! | ids | [`NodeId`], [`TaskId`] |
#![cfg_attr(docsrs, feature(doc_cfg))]

mod bell;
mod busy;
mod cancel;
mod clock;
mod error;
mod errors;
mod fork;
mod gate;
mod gate_key;
mod id;
mod index;
mod integration;
mod label;
#[cfg(feature = "metrics")]
mod ledger;
mod lineage;
mod namespace;
mod pool;
pub mod prelude;
mod quiet;
mod registry;
mod runtime;
mod stderr;
mod subscriber;
mod sync;
mod tally;
mod task;
mod task_type;
pub mod thread;
pub mod threads;
mod timer;
mod value;
mod waits;

pub use crate::busy::{Busy, Holder};
pub use crate::cancel::{OnCancel, acknowledge_cancel, cancelled, checkpoint, is_cancelled, on_cancel, sleep};
pub use crate::error::{Cancelled, Refused, StartError, StopError, SubmitError, TaskError, UnknownTaskType};
pub use crate::errors::Error;
pub use crate::gate::{Gate, GateGuard};
pub use crate::gate_key::EnterError;
pub use crate::id::{NodeId, TaskId};
#[cfg(feature = "inspector")]
#[cfg_attr(docsrs, doc(cfg(feature = "inspector")))]
pub use crate::integration::inspector;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub use crate::integration::metrics;
#[cfg(feature = "task-log")]
#[cfg_attr(docsrs, doc(cfg(feature = "task-log")))]
pub use crate::integration::task_log;
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub use crate::integration::tokio::{
    JoinError, JoinSet, Portal, PortalError, PortalHandle, SpawnError, SpawnHandle, portal, spawn, spawn_blocking,
};
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub use crate::integration::tower;
pub use crate::lineage::future::InLineage;
pub use crate::lineage::handle::{Ancestors, Entered, Lineage, current, wrap, wrap_fn};
pub use crate::lineage::node::NodeKind;
pub use crate::namespace::Namespace;
pub use crate::pool::admission::GateMode;
pub use crate::pool::cancel_on_drop::CancelOnDrop;
pub use crate::pool::config::{PoolConfig, PoolKind, PoolMode};
pub use crate::pool::ctx::{WorkerCtx, worker};
pub use crate::pool::end::{RunningTask, StopReport};
pub use crate::pool::exit::{
    ExitGuard, ExitPolicy, exit_deadline, exit_grace, exit_guard, on_exit, run_main, run_main_async,
};
pub use crate::pool::frame::task_id;
pub use crate::pool::handle::{CancelOutcome, TaskHandle, TaskStatus};
pub use crate::pool::map::Map;
pub use crate::pool::pinned::Pinned;
pub use crate::pool::scope::{ScopedHandle, TaskScope};
pub use crate::pool::set::{Ended, TaskSet, TimedOut};
pub use crate::pool::stats::PoolStats;
pub use crate::pool::wait::blocking;
pub use crate::registry::find::{create, get, get_or_create, with};
pub use crate::registry::get_or_start::{get_or_start, get_or_start_async};
pub use crate::registry::manager::PoolManager;
pub use crate::registry::not_found::ManagerNotFound;
pub use crate::registry::scope::{FutureExt, InScope, Scope};
pub use crate::registry::stateful::StatefulManager;
pub use crate::registry::table::{PoolReport, Registry, ShutdownReport, shutdown, shutdown_async};
pub use crate::registry::tree::{ManagerSnapshot, NodeSnapshot, Snapshot, Tree};
pub use crate::registry::typed::TypedManager;
pub use crate::task_type::{Task, TaskKind, TaskType};
pub use crate::value::binding::Bound;
pub use crate::value::error::{BindError, InitError, NotBound};
pub use crate::value::heirloom::{Heirloom, HeirloomAt};
pub use crate::value::map::{HeirloomMap, HeirloomMapAt, OnFailure};
pub use crate::value::subscribe::Subscription;
pub use crate::waits::{Circle, Link, WouldDeadlock};
