//! [`Gate`]: only one at a time, for a bounded wait, and again for whoever is in.

mod line;
mod who;

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::error::busy::{Busy, Holder};
use crate::error::circle::Circle;
use crate::gate::line::Line;
use crate::gate::who::Who;
use crate::names::label::Printed;
use crate::pool::blocking::cancel_listener::CancelListener;
use crate::pool::blocking::release::{self, PermitsReleased};
use crate::pool::context::frame::{self, Code};
use crate::pool::context::interrupted;
use crate::sync::Mutex;
use crate::sync::os::{Arc, OnceLock};
use crate::timer::within::within;
use crate::wait::graph::{Ends, Label};
use crate::wait::park;
use crate::wait::waker_set::WakerSet;

/// How long [`Gate::enter`] waits unless told otherwise: long enough for a quick reading to end, and short enough that
/// what cannot be had now is refused instead of being queued up.
const DEFAULT_WAIT: Duration = Duration::from_millis(50);

/// Lets in one at a time: a lock for an instrument, a stage, a licence, that is *refused* after a short wait instead of
/// queueing work up behind it.
///
/// It is held by the code of one **task**, or of a **thread** outside of any task. What that code calls may enter
/// again. Whatever it starts may not: not a thread, not a task, also not one that a join runs in place on the same
/// thread. Those wait, at most for 50 ms with [`enter`](Gate::enter) or for as long as they say with
/// [`enter_timeout`](Gate::enter_timeout), and then get [`Busy`], which says who is in. A wait gives the running task's
/// place in its pool to the next one.
///
/// If the holder cannot let go before the asker is done, [`Busy`] comes at once and says so
/// ([`would_deadlock`](Busy::would_deadlock)).
///
/// A wait ends also when whoever waits is asked to stop ([`cancelled`](Busy::cancelled)).
///
/// Whoever waits is let in in the order of asking. An entry that finds it free costs less than 0.1 µs.
///
/// ```
/// use heirloom::{Gate, PoolConfig, Scope};
///
/// static STAGE: Gate = Gate::new("stage");
///
/// fn move_by(steps: i32) -> Result<i32, heirloom::Busy> {
///     let _in = STAGE.enter()?;
///     Ok(steps)
/// }
///
/// fn home() -> Result<i32, heirloom::Busy> {
///     let _in = STAGE.enter()?;
///     move_by(-10) // this same code is in already
/// }
///
/// assert_eq!(home()?, -10);
///
/// let scope = Scope::new("doc");
/// let pool = scope.create("work");
/// pool.start(PoolConfig::leased(2))?;
/// let held = STAGE.enter()?;
/// let busy = pool.submit(|| move_by(1))?.join()?.unwrap_err(); // another task
/// assert_eq!(busy.holder.thread, std::thread::current().id());
/// drop(held);
/// assert_eq!(pool.submit(|| move_by(1))?.join()?, Ok(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Gate {
    name: &'static str,
    default_wait: Duration,
    line: Mutex<Line>,
    /// Tells the futures that wait when the gate is free; made for the first of them.
    free: OnceLock<WakerSet>,
}

impl Gate {
    /// A gate that nobody is in. Its name is for messages.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, default_wait: DEFAULT_WAIT, line: Mutex::new(Line::new()), free: OnceLock::new() }
    }

    /// loom's mutexes are made at run time.
    #[cfg(loom)]
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { name, default_wait: DEFAULT_WAIT, line: Mutex::new(Line::new()), free: OnceLock::new() }
    }

    /// How long [`Gate::enter`] waits. 50 ms unless told otherwise; `Duration::MAX` is for ever.
    ///
    /// ```
    /// use std::time::Duration;
    /// static CAMERA: heirloom::Gate = heirloom::Gate::new("camera").default_wait(Duration::from_secs(1));
    /// ```
    #[must_use]
    pub const fn default_wait(mut self, wait: Duration) -> Self {
        self.default_wait = wait;
        self
    }

    /// The name it was made with.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Goes in, waiting at most for the gate's default wait.
    ///
    /// # Errors
    /// [`Busy`]: somebody else was in all that time, or waits for the caller and so could not let go.
    pub fn enter(&self) -> Result<GateGuard<'_>, Busy> {
        self.enter_timeout(self.default_wait)
    }

    /// Goes in if that is possible now.
    ///
    /// # Errors
    /// [`Busy`]: somebody else is in.
    pub fn try_enter(&self) -> Result<GateGuard<'_>, Busy> {
        self.enter_timeout(Duration::ZERO)
    }

    /// Goes in, waiting at most for `wait`; `Duration::MAX` is for ever.
    ///
    /// ```
    /// use std::time::Duration;
    /// use heirloom::{Gate, thread};
    ///
    /// static STAGE: Gate = Gate::new("stage");
    /// let _held = STAGE.enter()?;
    /// let child = thread::spawn(|| STAGE.enter_timeout(Duration::from_millis(5)).map(drop));
    /// let busy = child.join().unwrap().unwrap_err(); // a child is not its parent
    /// assert!(busy.to_string().starts_with("gate \"stage\" is held by thread"));
    /// # Ok::<(), heirloom::Busy>(())
    /// ```
    ///
    /// # Errors
    /// [`Busy`]: somebody else was in all that time, or waits for the caller and so could not let go.
    pub fn enter_timeout(&self, wait: Duration) -> Result<GateGuard<'_>, Busy> {
        self.acquire(wait, GivesPlace::Always)?;
        Ok(GateGuard::new(Held::Borrowed(self)))
    }

    /// As [`enter`](Self::enter), without blocking the runtime. The guard belongs to the code that polls this, and to its
    /// thread: let go of it before the next `.await`. Threads in line come before futures, and among futures whichever is
    /// polled first. What waits on behalf of a future is not part of a circle that is told. Dropping it enters nothing.
    ///
    /// ```
    /// # futures::executor::block_on(async { // on any runtime
    /// let gate = heirloom::Gate::new("stage");
    /// let moved = {
    ///     let _in = gate.enter_async().await?;
    ///     "moved"
    /// };
    /// assert!(!gate.is_held());
    /// # assert_eq!(moved, "moved");
    /// # Ok::<(), heirloom::Busy>(())
    /// # })?;
    /// # Ok::<(), heirloom::Busy>(())
    /// ```
    ///
    /// # Errors
    /// [`Busy`]: somebody else was in all that time, or whoever polls was asked to stop.
    pub async fn enter_async(&self) -> Result<GateGuard<'_>, Busy> {
        self.enter_timeout_async(self.default_wait).await
    }

    /// As [`enter_timeout`](Self::enter_timeout), without blocking the runtime; see [`enter_async`](Self::enter_async).
    ///
    /// # Errors
    /// As [`enter_async`](Self::enter_async).
    pub async fn enter_timeout_async(&self, wait: Duration) -> Result<GateGuard<'_>, Busy> {
        self.acquire_async(wait).await?;
        Ok(GateGuard::new(Held::Borrowed(self)))
    }

    /// As [`enter_async`](Self::enter_async), with a guard that keeps the gate.
    pub(crate) async fn enter_shared_async(self: Arc<Self>) -> Result<GateGuard<'static>, Busy> {
        self.acquire_async(self.default_wait).await?;
        Ok(GateGuard::new(Held::Shared(self)))
    }

    async fn acquire_async(&self, wait: Duration) -> Result<(), Busy> {
        let begun = Instant::now();
        // A free gate costs no bell.
        if self.acquire_now().is_ok() {
            return Ok(());
        }
        let listener = self.free.get_or_init(WakerSet::new).register();
        let mut cancel_listener = None;
        let mut asked = false;
        let entered = poll_fn(|cx| {
            // The waker first, and a look then: whoever leaves lets go first, and tells then.
            listener.set(cx.waker());
            if self.acquire_now().is_ok() {
                return Poll::Ready(());
            }
            // Whoever polls is asked: it may be another one each time.
            asked = cancel_listener.insert(CancelListener::new()).poll(cx.waker(), CancelListener::cancel_requested);
            if asked { Poll::Ready(()) } else { Poll::Pending }
        });
        let ended = within(begun.checked_add(wait), entered).await;
        if ended.is_some() && !asked {
            return Ok(());
        }
        self.acquire_now().map_err(|busy| {
            interrupted::note_if_cancelled();
            Busy { waited: begun.elapsed(), cancelled: asked, ..busy }
        })
    }

    /// Makes the calling code the holder if that is possible now.
    fn acquire_now(&self) -> Result<(), Busy> {
        let running = frame::running();
        let mut line = self.line.lock();
        if line.enter_again(running.code) || line.enter(Who::here(running)).is_ok() {
            return Ok(());
        }
        let forked = line.is_held_elsewhere();
        Err(Busy { forked, ..self.busy(&line, Duration::ZERO, None) })
    }

    /// As [`enter`](Self::enter), with a guard that keeps the gate.
    pub(crate) fn enter_shared(self: Arc<Self>) -> Result<GateGuard<'static>, Busy> {
        self.acquire(self.default_wait, GivesPlace::Always)?;
        Ok(GateGuard::new(Held::Shared(self)))
    }

    /// Runs a task's body inside. While it waits the task keeps its place, unless the wait is for ever: it has not
    /// started, and a pool of `n` has at most `n` tasks in the line of a gate instead of all that are queued, each
    /// on a thread.
    pub(crate) fn around(&self, body: &mut dyn FnMut()) -> Result<(), Busy> {
        self.acquire(self.default_wait, GivesPlace::IfForEver)?;
        let _in = GateGuard::new(Held::Borrowed(self));
        body();
        Ok(())
    }

    /// Whether anybody is in, at this moment.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.line.lock().is_held()
    }

    /// Who is in, at this moment.
    ///
    /// ```
    /// let gate = heirloom::Gate::new("stage");
    /// assert!(gate.holder().is_none());
    /// let held = gate.enter()?;
    /// let holder = gate.holder().unwrap();
    /// assert_eq!((holder.task, holder.thread), (None, std::thread::current().id()));
    /// drop(held);
    /// assert!(!gate.is_held());
    /// # Ok::<(), heirloom::Busy>(())
    /// ```
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        self.line.lock().holder()
    }

    /// Makes the calling code the holder, once more if it is that already.
    fn acquire(&self, wait: Duration, gives: GivesPlace) -> Result<(), Busy> {
        let running = frame::running();
        let mut line = self.line.lock();
        if line.enter_again(running.code) {
            return Ok(());
        }
        let Err(who) = line.enter(Who::here(running)) else { return Ok(()) };
        if line.is_held_below(&who) {
            let circle = self.own_circle(&line, &who);
            return Err(self.busy(&line, Duration::ZERO, Some(circle)));
        }
        if line.is_held_elsewhere() {
            return Err(Busy { forked: true, ..self.busy(&line, Duration::ZERO, None) });
        }
        if wait.is_zero() {
            return Err(self.busy(&line, Duration::ZERO, None));
        }
        let begun = Instant::now();
        let deadline = begun.checked_add(wait);
        // Under the lock, so that the holder is the one who is named.
        let asked = line.target().map(|on| release::begin(on, Label::Gate(self.name), Ends::Asks)).transpose();
        let edge = match asked {
            Ok(Some(edge)) => edge,
            Ok(None) => unreachable!("a free gate refused somebody"),
            Err(why) => return Err(self.busy(&line, Duration::ZERO, Some(why.circle))),
        };
        let key = who.key();
        line.queue_up(who, edge.edge());
        drop(line);
        let waits = InLine { gate: self, key };
        let released = PermitsReleased::begin_registered(edge, gives == GivesPlace::Always || deadline.is_none());
        let mut cancel_listener = CancelListener::new();
        park::block_until(deadline, |waker| {
            self.line.lock().is_mine(key, waker)
                || released.is_refused()
                || cancel_listener.poll(waker, CancelListener::cancel_requested)
        });
        let mut line = self.line.lock();
        let given_up = line.give_up(key);
        mem::forget(waits);
        // Whoever was handed the gate has it, also if it was told meanwhile that it would wait for ever: it does not.
        // A waiter that was cancelled says so: its own end is what opens the circle that a join may have closed meanwhile.
        let cancelled = cancel_listener.cancel_requested();
        let told = released.refusal().filter(|_| !cancelled);
        let refuse = || Busy { cancelled, ..self.busy(&line, begun.elapsed(), told.map(|why| why.circle)) };
        let outcome = if given_up { Err(refuse()) } else { Ok(()) };
        drop(line);
        drop(released);
        if cancelled && given_up {
            interrupted::note_if_cancelled();
        }
        outcome
    }

    /// Of a wait for code further out on the same stack.
    fn own_circle(&self, line: &Line, who: &Who) -> Circle {
        let waiter = who.holder(Duration::ZERO).code();
        let holder = line.holder().map_or_else(|| waiter.clone(), |holder| holder.code());
        Circle::of_one(
            waiter,
            format!("the gate \"{}\", which {holder} holds, further out on the same stack", Printed(self.name)),
        )
    }

    fn busy(&self, line: &Line, waited: Duration, circle: Option<Circle>) -> Busy {
        let would_deadlock = circle.is_some();
        match line.holder() {
            Some(holder) => {
                Busy { gate: self.name, waited, holder, would_deadlock, circle, cancelled: false, forked: false }
            }
            // Nobody is refused by a gate that is free, and it is handed over while anybody waits.
            None => unreachable!("a free gate refused somebody"),
        }
    }

    fn leave(&self) {
        let next = self.line.lock().leave();
        match next {
            // A blocked thread's of ours, so this runs nothing of a user's.
            Some(next) => next.wake(),
            None => {
                if let Some(free) = self.free.get() {
                    free.wake_all();
                }
            }
        }
    }
}

// Nothing of a user's runs while the line changes, so it is whole whatever unwinds.
impl UnwindSafe for Gate {}
impl RefUnwindSafe for Gate {}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("name", &self.name).field("holder", &self.holder()).finish_non_exhaustive()
    }
}

/// Whether a wait gives the running task's place to the next one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GivesPlace {
    Always,
    IfForEver,
}

/// Stands in line. Should the wait unwind, it leaves nobody behind who could be handed the gate.
struct InLine<'a> {
    gate: &'a Gate,
    key: Code,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        let given_up = self.gate.line.lock().give_up(self.key);
        if !given_up {
            self.gate.leave();
        }
    }
}

/// Is in. Dropping it lets go: when the last guard of this entry and of those made within it is dropped, in whatever
/// order, the next in line is in.
///
/// It is not `Send`: it belongs to the code of one task or thread. With the feature `tokio` each future that tokio's
/// `spawn_local` runs is code of its own; one that holds a gate across an `.await` keeps the others of its thread out,
/// at once and not after a wait, because a wait would hold up the holder's thread. What takes turns within one of these
/// (the branches of `join!`), or is polled by another runtime, is the same code and is let in: do not keep a guard
/// across an `.await` there. One that is leaked (`mem::forget`) leaves the gate held for good.
#[must_use = "the gate is let go as soon as this is dropped"]
#[clippy::has_significant_drop]
pub struct GateGuard<'a> {
    held: Held<'a>,
    here: PhantomData<*const ()>,
}

enum Held<'a> {
    Borrowed(&'a Gate),
    Shared(Arc<Gate>),
}

impl<'a> GateGuard<'a> {
    fn new(held: Held<'a>) -> Self {
        Self { held, here: PhantomData }
    }

    /// The gate it is in.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        match &self.held {
            Held::Borrowed(gate) => gate,
            Held::Shared(gate) => gate,
        }
    }
}

impl Drop for GateGuard<'_> {
    fn drop(&mut self) {
        self.gate().leave();
    }
}

impl fmt::Debug for GateGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateGuard").field("gate", &self.gate().name()).finish_non_exhaustive()
    }
}
