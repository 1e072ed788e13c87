//! `get_or_start`: the nearest pool that runs, or one that is started for all who ask.
//!
//! # The races to fear
//! * Two callers find none, and both start one. They cannot: a caller that found none takes the name's turn at the place
//!   where the manager is to be, and looks again when it has it. The holder gives the turn back after its manager runs
//!   and is found, or after its start was refused.
//! * A caller waits for a turn that its own stack holds. The turn is a debt in the graph of [`crate::wait::graph`], so that is
//!   an error.
//!
//! The turn covers the closure and the start, and no wait for warm threads: whoever finds the manager waits for those
//! itself, and hears the same failure.

use std::collections::HashMap;

use crate::error::{StartError, StartErrorKind};
use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::lineage::node::NodeRef;
use crate::names::id::NodeId;
use crate::names::namespace::Namespace;
use crate::pool::blocking::release::{PermitsReleased, block_on_wakers};
use crate::pool::config::PoolConfig;
use crate::registry::manager::PoolManager;
use crate::registry::slot;
use crate::sync::os::{Arc, AtomicBool, LazyLock, Mutex, Ordering};
use crate::wait::graph::{self, Ends, Label, Obligation, Target};
use crate::wait::waker_set::WakerSet;

/// The place of a manager, and its name.
type Slot = (NodeId, Namespace);

/// One caller's turn to start a manager.
struct Turn {
    obligation: Arc<Obligation>,
    over: AtomicBool,
    /// Rings when the turn is over.
    changed: WakerSet,
}

fn turns() -> &'static Mutex<HashMap<Slot, Arc<Turn>>> {
    static TURNS: LazyLock<Mutex<HashMap<Slot, Arc<Turn>>>> = LazyLock::new(Mutex::default);
    &TURNS
}

/// Holds a turn. Dropping it gives the turn back.
struct Holds {
    slot: Slot,
    turn: Arc<Turn>,
}

impl Holds {
    /// Takes the turn; where another caller has it, that one's comes back.
    fn take(slot: Slot) -> Result<Self, Arc<Turn>> {
        let turn =
            Turn { obligation: Obligation::new(graph::me()), over: AtomicBool::new(false), changed: WakerSet::new() };
        let mut turns = turns().lock();
        if let Some(other) = turns.get(&slot) {
            return Err(Arc::clone(other));
        }
        let turn = Arc::new(turn);
        turns.insert(slot.clone(), Arc::clone(&turn));
        Ok(Self { slot, turn })
    }

    fn give_back(&self) {
        if !self.turn.over.swap(true, Ordering::SeqCst) {
            self.turn.obligation.fulfil();
            let gone = turns().lock().remove(&self.slot);
            drop(gone);
            self.turn.changed.wake_all();
        }
    }
}

impl Drop for Holds {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Turn {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Waits until it is over.
    ///
    /// # Errors
    /// It never would be, because its holder waits for the caller.
    fn wait(&self, namespace: &Namespace) -> Result<(), StartError> {
        if self.obligation.is_mine() && !self.is_over() {
            return Err(StartError::new(namespace, StartErrorKind::Reentrant));
        }
        let label = Label::Start(namespace.clone());
        let why = match PermitsReleased::begin_for(Target::Obligation(Arc::clone(&self.obligation)), label, Ends::Asks)
        {
            Err(why) => Some(why),
            Ok(released) => {
                block_on_wakers(&self.changed, None, || self.is_over() || released.is_refused());
                released.refusal()
            }
        };
        // Its holder may wait for this thread by right when it is over.
        match why.filter(|_| !self.is_over()) {
            Some(why) => Err(StartError::new(namespace, StartErrorKind::WouldDeadlock { circle: why.circle })),
            None => Ok(()),
        }
    }
}

/// A call of `get_or_start`.
struct Call {
    namespace: Namespace,
    /// Where it looks from.
    from: NodeRef,
    /// Where a manager is made.
    at: NodeRef,
}

/// What a look found or made.
enum Step {
    Found(PoolManager),
    /// This call has started it. `made` says that the manager is new.
    Started {
        manager: PoolManager,
        made: bool,
    },
    /// Another caller is about to start one.
    Wait(Arc<Turn>),
}

impl Call {
    fn step<C: FnOnce() -> PoolConfig>(&self, config: &mut Option<C>) -> Result<Step, StartError> {
        let look = || slot::nearest_running(self.from.node(), &self.namespace);
        if let Some(found) = look() {
            return Ok(Step::Found(found));
        }
        let holds = match Holds::take((self.at.node().id(), self.namespace.clone())) {
            Ok(holds) => holds,
            Err(other) => return Ok(Step::Wait(other)),
        };
        // The one that had the turn before may have started it since the look.
        if let Some(found) = look() {
            return Ok(Step::Found(found));
        }
        let Some(config) = config.take() else { unreachable!("whoever takes the closure does not come here again") };
        let config = graph::obliged(&|| holds.give_back(), config);
        self.start(&config)
    }

    /// Starts the place's own manager of that name, or a new one, which is found only when it runs.
    fn start(&self, config: &PoolConfig) -> Result<Step, StartError> {
        let at = Lineage(self.at.clone());
        loop {
            if let Some(manager) = at.own(&self.namespace) {
                return match manager.start_pool(config.clone()) {
                    Ok(pool) => {
                        pool.warm_up();
                        Ok(Step::Started { manager, made: false })
                    }
                    Err(error) if error.is_already_running() => Ok(Step::Found(manager)),
                    Err(error) => Err(error),
                };
            }
            let manager = PoolManager::new(&self.at, self.namespace.clone());
            let pool = manager.start_pool(config.clone())?;
            if at.link(&manager) {
                // Not before it is found: initialisers may look for it.
                pool.warm_up();
                return Ok(Step::Started { manager, made: true });
            }
            // Somebody has created one there meanwhile, and this one closes.
        }
    }

    fn get(&self, config: impl FnOnce() -> PoolConfig) -> Result<PoolManager, StartError> {
        let mut config = Some(config);
        loop {
            match self.step(&mut config)? {
                Step::Found(manager) => return manager.wait_ready().map(|()| manager),
                Step::Started { manager, made } => {
                    let ready = manager.wait_ready();
                    return self.outcome(manager, made, ready);
                }
                Step::Wait(turn) => turn.wait(&self.namespace)?,
            }
        }
    }

    async fn get_async(&self, config: impl FnOnce() -> PoolConfig) -> Result<PoolManager, StartError> {
        let mut config = Some(config);
        loop {
            match self.step(&mut config)? {
                Step::Found(manager) => return manager.await_ready().await.map(|()| manager),
                Step::Started { manager, made } => {
                    let ready = manager.await_ready().await;
                    return self.outcome(manager, made, ready);
                }
                Step::Wait(turn) => turn.changed.until(|| turn.is_over()).await,
            }
        }
    }

    /// A start that failed leaves nothing behind.
    fn outcome(
        &self,
        manager: PoolManager,
        made: bool,
        ready: Result<(), StartError>,
    ) -> Result<PoolManager, StartError> {
        if ready.is_err() && made && !manager.is_running() {
            Lineage(self.at.clone()).unlink(&manager);
        }
        ready.map(|()| manager)
    }
}

/// The nearest manager of this name that *runs*, as it is; if none does, one is made and started at the family's
/// [root](Lineage::root), with the settings that `config` returns.
///
/// For a library, or a static, that needs a pool and does not care whose: the caller's own if there is one, else one
/// that the whole process shares; one for each tenant is [`tenant.get_or_start(…)`](Lineage::get_or_start). The settings
/// are of that last case alone: what is found is taken whatever its settings are.
///
/// ```
/// use heirloom::{PoolConfig, Scope};
///
/// fn thumbnail() -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
///     let thumbs = heirloom::get_or_start("thumbs", || PoolConfig::leased(4))?;
///     Ok(thumbs.submit(|| 64)?.join()?)
/// }
///
/// assert_eq!(thumbnail()?, 64); // the process's, for everyone
/// let shop = Scope::new("shop");
/// shop.create("thumbs").start(PoolConfig::leased(1))?;
/// assert_eq!(shop.run(thumbnail)?, 64); // the shop's own
/// assert_eq!(heirloom::get("thumbs")?.stats().completed, 1);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
///
/// # Among concurrent callers
/// One caller starts the manager, and the others get that one. `config` runs at most once, in the caller that starts,
/// standing where that caller stands and with nothing locked. A panic in `config` goes on to its caller, and another caller
/// has its turn. Where the start is refused, each caller tries by itself. A failure to [warm](PoolConfig::warm) its threads
/// reaches all callers that wait for them. A start that failed leaves no manager behind, and the next call tries again.
///
/// # Managers that do not run
/// The look-up passes over a manager that was created and not started, or was told to end. At the root itself the call
/// starts such a manager, as [`start`](PoolManager::start) would: one whose last tasks have not ended is
/// [`StillStopping`](StartErrorKind::StillStopping).
///
/// # Names of a library
/// A text may be the name of a pool of the program's own, with a [task type](PoolConfig::task_type) say, which refuses the
/// library's tasks. The name of a private type meets no other: `get_or_start(Namespace::of::<Private>(), …)`. A library
/// whose users may give their own pool documents the text, and the tasks that go there.
///
/// # After a shutdown
/// [`shutdown`](crate::shutdown) closes the pools that exist. A later call starts a new pool, which no report lists; the
/// process's exit waits for it as for any other.
///
/// # Cost
/// Where a manager of that name runs, that of [`get`](crate::get) and a few nanoseconds. The call blocks while another
/// caller's `config` runs and while threads are warmed; [`get_or_start_async`] does not. [`Lineage::get_or_start`] starts at
/// another node than the root.
///
/// # Errors
/// As [`PoolManager::start`]; [`Reentrant`](StartErrorKind::Reentrant) and
/// [`WouldDeadlock`](StartErrorKind::WouldDeadlock) when `config` itself, or the code that it waits for, asks for this manager.
pub fn get_or_start(ns: impl Into<Namespace>, config: impl FnOnce() -> PoolConfig) -> Result<PoolManager, StartError> {
    let namespace = ns.into();
    match slot::nearest_running_here(&namespace) {
        Some(found) => found.wait_ready().map(|()| found),
        None => Call::here(namespace).get(config),
    }
}

/// As [`get_or_start`], without blocking the runtime while threads are warmed.
///
/// Dropping the future stops only the waiting: a start that has begun goes on.
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
) -> Result<PoolManager, StartError> {
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
    /// As [`get_or_start`](crate::get_or_start()), from this place: the nearest manager of this name that runs, at this
    /// node or above it; if none does, one is made and started *here*.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let tenant = Scope::new("tenant 3");
    /// let request = tenant.run(|| Scope::new("request 7"));
    /// let cache = tenant.get_or_start("cache", || PoolConfig::leased(2))?; // the tenant's, for all its requests
    /// assert!(request.get("cache")?.is_same(&cache));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_or_start`](crate::get_or_start()).
    pub fn get_or_start(
        &self,
        ns: impl Into<Namespace>,
        config: impl FnOnce() -> PoolConfig,
    ) -> Result<PoolManager, StartError> {
        self.call(ns.into()).get(config)
    }

    /// As [`get_or_start_async`], from this place and made here.
    ///
    /// # Errors
    /// As [`get_or_start`](crate::get_or_start()).
    pub async fn get_or_start_async(
        &self,
        ns: impl Into<Namespace>,
        config: impl FnOnce() -> PoolConfig,
    ) -> Result<PoolManager, StartError> {
        self.call(ns.into()).get_async(config).await
    }

    fn call(&self, namespace: Namespace) -> Call {
        Call { namespace, from: self.0.clone(), at: self.0.clone() }
    }
}
