//! `get_or_start`: the nearest running pool, or one that is started for all callers.
//!
//! # The races to fear
//! * Two callers find no manager, and both start one. They cannot: such a caller takes the turn for the name at the node of
//!   the future manager, and looks again when it has the turn. It ends the turn after its manager runs and look-ups find it,
//!   or after the start was refused.
//! * A caller waits for a turn that its own stack holds. The turn is an obligation in the graph of waits
//!   ([`crate::wait::graph`]), so the wait is refused.
//!
//! The turn covers the closure and the start, and no wait for warm threads: each caller that finds the manager waits for
//! those itself, and gets the same failure.

use std::collections::HashMap;

use crate::error::{Error, ErrorKind, StartError, StartErrorKind};
use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::lineage::node::NodeRef;
use crate::names::id::NodeId;
use crate::names::namespace::Namespace;
use crate::pool::blocking::release::{PermitsReleased, block_on_wakers};
use crate::pool::config::PoolConfig;
use crate::pool::kinds::dedicated::start;
use crate::registry::manager::PoolManager;
use crate::registry::slot;
use crate::sync::os::{Arc, AtomicBool, LazyLock, Mutex, Ordering};
use crate::wait::graph::{self, Ends, Label, Obligation, Target};
use crate::wait::here;
use crate::wait::waker_set::WakerSet;

/// The node and the name of a manager.
type Slot = (NodeId, Namespace);

/// One caller's turn to start a manager.
struct Turn {
    obligation: Arc<Obligation>,
    ended: AtomicBool,
    /// Woken when the turn has ended.
    changed: WakerSet,
}

fn turns() -> &'static Mutex<HashMap<Slot, Arc<Turn>>> {
    static TURNS: LazyLock<Mutex<HashMap<Slot, Arc<Turn>>>> = LazyLock::new(Mutex::default);
    &TURNS
}

/// Holds a turn. Its drop ends the turn.
struct Holds {
    slot: Slot,
    turn: Arc<Turn>,
}

impl Holds {
    /// Takes the turn.
    ///
    /// # Errors
    /// The turn of another caller, which has it now.
    fn take(slot: Slot) -> Result<Self, Arc<Turn>> {
        let turn =
            Turn { obligation: Obligation::new(here::me()), ended: AtomicBool::new(false), changed: WakerSet::new() };
        let mut turns = turns().lock();
        if let Some(other) = turns.get(&slot) {
            return Err(Arc::clone(other));
        }
        let turn = Arc::new(turn);
        turns.insert(slot.clone(), Arc::clone(&turn));
        Ok(Self { slot, turn })
    }

    fn end(&self) {
        if !self.turn.ended.swap(true, Ordering::SeqCst) {
            self.turn.obligation.fulfil();
            let removed = turns().lock().remove(&self.slot);
            drop(removed);
            self.turn.changed.wake_all();
        }
    }
}

impl Drop for Holds {
    fn drop(&mut self) {
        self.end();
    }
}

impl Turn {
    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Waits until the turn has ended.
    ///
    /// # Errors
    /// When it never would end, because its holder waits for the caller.
    fn wait(&self, namespace: &Namespace) -> Result<(), Error> {
        if self.obligation.is_mine() && !self.has_ended() {
            return Err(StartError::new(namespace, StartErrorKind::Reentrant).into());
        }
        let label = Label::Start(namespace.clone());
        let why = match PermitsReleased::begin_for(Target::Obligation(Arc::clone(&self.obligation)), label, Ends::Asks)
        {
            Err(why) => Some(why),
            Ok(released) => {
                block_on_wakers(&self.changed, None, || self.has_ended() || released.is_refused());
                released.refusal()
            }
        };
        // After the turn's end its holder may wait for this thread: that is no circle.
        match why.filter(|_| !self.has_ended()) {
            Some(why) => Err(StartError::new(namespace, StartErrorKind::WouldDeadlock { circle: why.circle }).into()),
            None => Ok(()),
        }
    }
}

/// A call of `get_or_start`.
struct Call {
    namespace: Namespace,
    /// The node that the look-up starts at.
    from: NodeRef,
    /// The node that gets a new manager.
    at: NodeRef,
}

/// The outcome of one attempt.
enum Step {
    /// A manager that runs, `made` by this call or not.
    Found { manager: PoolManager, made: bool },
    /// Another caller has the turn.
    Wait(Arc<Turn>),
}

impl Call {
    fn step<C: FnOnce() -> PoolConfig>(&self, config: &mut Option<C>) -> Result<Step, Error> {
        let look = || slot::nearest_running(self.from.node(), &self.namespace);
        if let Some(manager) = look() {
            return Ok(Step::Found { manager, made: false });
        }
        let holds = match Holds::take((self.at.node().id(), self.namespace.clone())) {
            Ok(holds) => holds,
            Err(other) => return Ok(Step::Wait(other)),
        };
        // The previous holder of the turn may have started one since the first look.
        if let Some(manager) = look() {
            return Ok(Step::Found { manager, made: false });
        }
        let Some(config) = config.take() else {
            unreachable!("a call that has run the closure makes no further attempt")
        };
        let config = graph::obliged(&|| holds.end(), config);
        self.start(&config)
    }

    /// Starts the node's own manager of that name, or a new one, which look-ups find only when it runs.
    fn start(&self, config: &PoolConfig) -> Result<Step, Error> {
        let at = Lineage(self.at.clone());
        loop {
            if let Some(manager) = at.own(&self.namespace) {
                match manager.start_pool(config.clone()) {
                    Ok(pool) => start::warm_up(&pool),
                    Err(error) if error.kind() == ErrorKind::AlreadyRunning => {}
                    Err(error) => return Err(error),
                }
                return Ok(Step::Found { manager, made: false });
            }
            let manager = PoolManager::new(&self.at, self.namespace.clone());
            let pool = manager.start_pool(config.clone())?;
            if at.link(&manager) {
                // Not before the link: initialisers may look the manager up.
                start::warm_up(&pool);
                return Ok(Step::Found { manager, made: true });
            }
            // Another caller has created one there meanwhile. This one closes with its drop.
        }
    }

    fn get(&self, config: impl FnOnce() -> PoolConfig) -> Result<PoolManager, Error> {
        let mut config = Some(config);
        loop {
            match self.step(&mut config)? {
                Step::Found { manager, made } => {
                    let ready = manager.wait_ready();
                    return self.outcome(manager, made, ready);
                }
                Step::Wait(turn) => turn.wait(&self.namespace)?,
            }
        }
    }

    async fn get_async(&self, config: impl FnOnce() -> PoolConfig) -> Result<PoolManager, Error> {
        let mut config = Some(config);
        loop {
            match self.step(&mut config)? {
                Step::Found { manager, made } => {
                    let ready = manager.await_ready().await;
                    return self.outcome(manager, made, ready);
                }
                Step::Wait(turn) => turn.changed.until(|| turn.has_ended()).await,
            }
        }
    }

    /// Unlinks a manager that this call made and whose start failed.
    fn outcome(&self, manager: PoolManager, made: bool, ready: Result<(), Error>) -> Result<PoolManager, Error> {
        if ready.is_err() && made && !manager.is_running() {
            Lineage(self.at.clone()).unlink(&manager);
        }
        ready.map(|()| manager)
    }
}

/// Returns the nearest manager of this name that *runs*, or starts one at the family's root.
///
/// For a library or a static that needs a pool and accepts any owner: a running pool at or above the caller, or else one
/// that the whole process shares. A manager that is found is returned as it is. A new manager belongs to the
/// [root](Lineage::root) and gets the settings that `config` returns. For a pool of each tenant use
/// [`tenant.get_or_start(…)`](Lineage::get_or_start).
///
/// ```
/// use heirloom::{PoolConfig, Scope};
///
/// fn thumbnail() -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
///     let thumbs = heirloom::get_or_start("thumbs", || PoolConfig::leased(4))?;
///     Ok(thumbs.submit(|| 64)?.join()?)
/// }
///
/// assert_eq!(thumbnail()?, 64); // the process's, for all callers
/// let shop = Scope::new("shop");
/// shop.create("thumbs").start(PoolConfig::leased(1))?;
/// assert_eq!(shop.run(thumbnail)?, 64); // the shop's own
/// assert_eq!(heirloom::get("thumbs")?.stats().completed, 1);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
///
/// # Among concurrent callers
/// One caller starts the manager, and the others return the same. `config` runs at most once, in the caller that starts, at
/// that caller's node and without a lock. A panic in `config` goes on to its caller, and another caller takes the turn.
/// After a refused start each caller tries by itself. A failure to [warm](PoolConfig::warm) the threads reaches all callers
/// that wait for them. A failed start leaves no manager behind, and the next call tries again.
///
/// # Managers that do not run
/// The look-up passes over a manager that is not started or is closed. At the root itself the call starts such a manager as
/// [`start`](PoolManager::start) does, with [`StillStopping`](StartErrorKind::StillStopping) while its last tasks have not
/// ended.
///
/// # Names of a library
/// A program may use the same text for a pool of its own, for example one with a [task type](PoolConfig::task_type), which
/// refuses the library's tasks. The name of a private type meets no other name:
/// `get_or_start(Namespace::of::<Private>(), …)`. A library whose users may provide the pool documents the text, and the
/// tasks that it submits there.
///
/// # After a shutdown
/// [`shutdown`](crate::shutdown) closes the pools that exist. A later call starts a new pool, which no report lists; the
/// process's exit waits for it as for any other.
///
/// # Cost
/// With a running manager of that name: [`get`](crate::get) and a few nanoseconds. The call blocks while another caller's
/// `config` runs and while threads are warmed; [`get_or_start_async`] does not block. [`Lineage::get_or_start`] starts a
/// manager at another node than the root.
///
/// # Errors
/// As [`PoolManager::start`]; [`Reentrant`](StartErrorKind::Reentrant) and
/// [`WouldDeadlock`](StartErrorKind::WouldDeadlock) when `config` itself, or the code that it waits for, asks for this manager.
pub fn get_or_start(ns: impl Into<Namespace>, config: impl FnOnce() -> PoolConfig) -> Result<PoolManager, Error> {
    let namespace = ns.into();
    match slot::nearest_running_here(&namespace) {
        Some(found) => found.wait_ready().map(|()| found),
        None => Call::here(namespace).get(config),
    }
}

/// As [`get_or_start`], without blocking the runtime while threads are warmed.
///
/// Dropping the future stops only the wait: a start that has begun goes on.
///
/// ```
/// use heirloom::PoolConfig;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let db = heirloom::get_or_start_async("db", || PoolConfig::dedicated(2).warm(2)).await?;
/// assert_eq!(db.submit(|| 7)?.await?, 7);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
///
/// # Errors
/// As [`get_or_start`].
pub async fn get_or_start_async(
    ns: impl Into<Namespace>,
    config: impl FnOnce() -> PoolConfig,
) -> Result<PoolManager, Error> {
    Call::here(ns.into()).get_async(config).await
}

impl Call {
    fn here(namespace: Namespace) -> Self {
        let from = current::nearest();
        let at = from.root();
        Self { namespace, from, at }
    }
}

impl Lineage {
    /// Returns the nearest manager of this name that runs, at this node or above it, or starts one of this node.
    ///
    /// In all else it is [`get_or_start`](crate::get_or_start()).
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let tenant = Scope::new("tenant 3");
    /// let request = tenant.run(|| Scope::new("request 7"));
    /// let cache = tenant.get_or_start("cache", || PoolConfig::leased(2))?; // the tenant's, for all its requests
    /// assert!(request.get("cache")?.is_same(&cache));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_or_start`](crate::get_or_start()).
    pub fn get_or_start(
        &self,
        ns: impl Into<Namespace>,
        config: impl FnOnce() -> PoolConfig,
    ) -> Result<PoolManager, Error> {
        self.call(ns.into()).get(config)
    }

    /// As [`get_or_start`](Self::get_or_start), without blocking the runtime while threads are warmed.
    ///
    /// # Errors
    /// As [`get_or_start`](crate::get_or_start()).
    pub async fn get_or_start_async(
        &self,
        ns: impl Into<Namespace>,
        config: impl FnOnce() -> PoolConfig,
    ) -> Result<PoolManager, Error> {
        self.call(ns.into()).get_async(config).await
    }

    fn call(&self, namespace: Namespace) -> Call {
        Call { namespace, from: self.0.clone(), at: self.0.clone() }
    }
}
