//! What the tests of pools share: started pools, tasks that end when they are told to, and a look at the system's
//! threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread::ThreadId;

use heirloom::{PoolConfig, PoolManager, Scope, TaskHandle};

/// A pool that runs.
pub(crate) fn started(scope: &Scope, name: &'static str, config: PoolConfig) -> PoolManager {
    let pool = scope.create(name);
    pool.start(config).expect("starts");
    pool
}

/// A task that runs until it is told to end.
pub(crate) struct Busy {
    pub(crate) task: TaskHandle<()>,
    /// Where it runs.
    pub(crate) thread: ThreadId,
    go: mpsc::Sender<()>,
}

impl Busy {
    /// Submits one and waits until it has started.
    pub(crate) fn on(pool: &PoolManager) -> Self {
        let (go, gate) = mpsc::channel::<()>();
        let (here, started) = mpsc::channel();
        let task = pool
            .submit(move || {
                here.send(this_thread()).expect("the test listens");
                let _ = gate.recv();
            })
            .expect("accepted");
        let thread = started.recv().expect("it starts");
        Self { task, thread, go }
    }

    /// Tells it to end, and waits until it has.
    pub(crate) fn end(self) {
        self.go.send(()).expect("the task listens");
        self.task.join().expect("runs");
    }
}

/// A function of numbers that takes long for 0: until the sender is dropped.
pub(crate) fn slow_for_zero() -> (mpsc::Sender<()>, impl Fn(u32) -> u32 + Send + Sync + 'static) {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let work = move |n| {
        if n == 0 {
            let _ = gate.lock().expect("one user").recv();
        }
        n
    };
    (go, work)
}

/// Counts how many are inside at once.
#[derive(Default)]
pub(crate) struct Crowd {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Crowd {
    pub(crate) fn enter(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
    }

    pub(crate) fn leave(&self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }

    /// Stays inside long enough for others to come in beside it.
    pub(crate) fn visit(&self) {
        self.enter();
        for _ in 0..20 {
            std::thread::yield_now();
        }
        self.leave();
    }

    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

pub(crate) fn this_thread() -> ThreadId {
    std::thread::current().id()
}

pub(crate) fn thread_name() -> String {
    std::thread::current().name().unwrap_or("(none)").to_string()
}

/// How many threads of this process the system shows whose names begin so. At most 15 bytes of a name are kept there.
#[cfg(target_os = "linux")]
pub(crate) fn threads_named(prefix: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("this process has threads");
    let names = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with(prefix)).count()
}

/// How many tasks run inside one another on this thread's stack; see [`Nest::deeper`].
pub(crate) struct Nest;

thread_local! {
    static NEST: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

impl Nest {
    /// Runs `f` one deeper, and tells it how deep that is.
    pub(crate) fn deeper<T>(f: impl FnOnce(u32) -> T) -> T {
        NEST.set(NEST.get() + 1);
        let out = f(NEST.get());
        NEST.set(NEST.get() - 1);
        out
    }
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

/// The smallest executor: none of heirloom's, and one that may be used inside itself.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let waker = std::task::Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(out) => return out,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}
