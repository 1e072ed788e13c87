//! [`Heirloom`]: a value that is found from below the place where it was bound.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::error::value::{BindError, InitError, NotBound};
use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::lineage::lookup;
use crate::lineage::node::{Node, NodeRef, Role, ScopeTrackers};
use crate::lineage::slots::SlotValue;
use crate::names::namespace::Namespace;
use crate::sync::os::{Arc, OnceLock};
use crate::value::Values;
use crate::value::binding::BoundValue;
use crate::value::bindings::{At, BindMode, Bindings};
use crate::value::init_call::{InitCall, failed, ready, tried};
use crate::value::key::Interned;
use crate::value::subscribe::Subscription;
use crate::wait::park;

/// A key under which a value is bound at a place and found from everywhere below it, the nearest first: a database
/// handle of the process, a request's id, a tenant's settings.
///
/// Its identity is the key itself, not its name: two with the same name have nothing to do with each other. Mostly it
/// is a `static`. Dropping one that is not takes its values out of the tree.
///
/// Looking up takes no lock, and costs about what finding a manager does ([`with`](Self::with) counts nothing).
/// A value lives until it is unbound or replaced, or its place ends; a scope drops its values when it was told to end
/// and nothing asked for below it is left. Whoever got it keeps it as an `Arc`.
///
/// ```
/// use heirloom::{Heirloom, PoolConfig, Scope};
///
/// static TENANT: Heirloom<String> = Heirloom::new("tenant");
///
/// let request = Scope::new("request 7");
/// TENANT.bind_at(&request, String::from("acme"))?;
/// let pool = request.create("render");
/// pool.start(PoolConfig::leased(2))?;
/// let seen = request.run(|| pool.submit(|| TENANT.get()))?.join()??; // on another thread
/// assert_eq!(*seen, "acme");
/// assert!(TENANT.get().is_err()); // out here nobody has one
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Heirloom<T: Send + Sync + 'static> {
    name: &'static str,
    /// Also makes the type invariant in `T`, so that what is bound as one type is not found as another.
    policy: Policy<T>,
    core: OnceLock<Core<T>>,
}

/// Who inherits.
enum Policy<T> {
    Inherited,
    Isolated,
    Fresh(fn(&T) -> T),
}

/// Made with the first value or subscription; until then nobody has bound one.
struct Core<T: Send + Sync + 'static> {
    number: Namespace,
    key: Arc<Interned<()>>,
    bindings: Arc<Bindings<(), T>>,
}

/// What was found under the key's number.
#[inline]
fn binding<T: Send + Sync + 'static>(slot_value: &Arc<SlotValue>) -> &BoundValue<(), T> {
    debug_assert!(slot_value.is::<BoundValue<(), T>>(), "a number belongs to one key, and a key to one type");
    // SAFETY: nodes keep under a key's number what its desk put there, and a desk has one type, that of its key.
    unsafe { &*Arc::as_ptr(slot_value).cast::<BoundValue<(), T>>() }
}

impl<T: Send + Sync + 'static> Heirloom<T> {
    /// A key whose values are inherited. The name is for errors; it need not be unique.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, policy: Policy::Inherited, core: OnceLock::new() }
    }

    /// Found from the place where it was bound and from everywhere below: what a new key is.
    #[must_use]
    pub const fn inherited(mut self) -> Self {
        self.policy = Policy::Inherited;
        self
    }

    /// Found at the very place where it was bound, and nowhere else: a task does not see its submitter's, nor a thread
    /// that of whoever started it. [`get_or_init`](Self::get_or_init) initialises one for the current place.
    ///
    /// ```
    /// use heirloom::{Heirloom, thread};
    ///
    /// static INVOCATION: Heirloom<u64> = Heirloom::new("invocation").isolated();
    /// INVOCATION.run_with(7, || {
    ///     assert_eq!(*INVOCATION.get()?, 7);
    ///     assert!(thread::spawn(|| INVOCATION.get().is_err()).join().unwrap());
    ///     Ok::<_, heirloom::NotBound>(())
    /// })??;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn isolated(mut self) -> Self {
        self.policy = Policy::Isolated;
        self
    }

    /// Every place below one that has a value gets its own when it first asks: `make` of the nearest one above. It runs
    /// once for a place, standing there; others who ask there meanwhile wait for it. A place in between that never
    /// asked has none, so what a place gets can depend on whether one above it asked before. Such a value is not
    /// told to subscribers, and is made after [`seal`](Self::seal) too.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// use heirloom::{Heirloom, Scope};
    ///
    /// /// Counts for one place, beginning with what it was above.
    /// static DEPTH: Heirloom<u32> = Heirloom::new("depth").fresh(|above| above + 1);
    /// let outer = Scope::new("outer");
    /// DEPTH.bind_at(&outer, 0_u32)?;
    /// let inner = Scope::new_in(&outer, "inner");
    /// assert_eq!(*DEPTH.get_at(&inner)?, 1);
    /// assert_eq!(*DEPTH.get_at(&Scope::new_in(&inner, "innermost"))?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn fresh(mut self, make: fn(&T) -> T) -> Self {
        self.policy = Policy::Fresh(make);
        self
    }

    /// The name given to it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    fn core(&self) -> &Core<T> {
        self.core.get_or_init(|| {
            let bindings = Bindings::new(self.name, false);
            Core { number: bindings.number.clone(), key: Interned::alone(()), bindings }
        })
    }

    /// The nearest value.
    ///
    /// ```
    /// use heirloom::{Heirloom, Scope};
    ///
    /// static TENANT: Heirloom<&str> = Heirloom::new("tenant");
    /// let request = Scope::new("request 7");
    /// TENANT.bind_at(&request, "acme")?;
    /// assert_eq!(*request.run(|| TENANT.get())?, "acme");
    /// let nobody = TENANT.get().unwrap_err();
    /// assert!(nobody.to_string().contains("no value of \"tenant\""));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`NotBound`], which says where it was asked; with [`fresh`](Self::fresh) also when this place's own could not be
    /// made.
    #[inline]
    pub fn get(&self) -> Result<Arc<T>, NotBound> {
        self.find(None, Arc::clone)
    }

    /// As [`get`](Self::get), for whoever can do without: nobody is told where it was asked in vain.
    pub(crate) fn get_if_bound(&self) -> Result<Option<Arc<T>>, NotBound> {
        let Some(core) = self.core.get() else { return Ok(None) };
        if matches!(self.policy, Policy::Inherited) {
            let clone = |slot_value: &Arc<SlotValue>| Arc::clone(binding(slot_value).value());
            return Ok(lookup::lend_here::<Values, _>(&core.number, clone));
        }
        match self.get() {
            Err(missing) if missing.init_error().is_none() => Ok(None),
            found => found.map(Some),
        }
    }

    /// The nearest value at that place or above it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_at(&self, at: &Lineage) -> Result<Arc<T>, NotBound> {
        self.find(Some(at), Arc::clone)
    }

    /// The nearest place where a value is bound: the one that [`get`](Self::get) has its value from.
    ///
    /// With it a request finds what it stands below, such as its tenant: to make a pool there that all the tenant's
    /// requests share, or to start work there that outlives the response. Of an [`isolated`](Self::isolated) key it can
    /// only be the very place where the code stands. Of a [`fresh`](Self::fresh) key it is the place itself once that
    /// has its own, and else the one above whose value it would be made of; none is made. Costs what [`get`](Self::get)
    /// does.
    ///
    /// ```
    /// use heirloom::{Heirloom, PoolConfig, Scope};
    ///
    /// static TENANT: Heirloom<&str> = Heirloom::new("tenant");
    ///
    /// fn preview() -> Result<u32, heirloom::Error> {
    ///     let tenant = TENANT.place()?;
    ///     let pool = tenant.get_or_start("previews", || PoolConfig::leased(2))?; // one for each tenant
    ///     Ok(pool.submit(|| 7)?.join()?)
    /// }
    ///
    /// let acme = Scope::new("acme");
    /// TENANT.bind_at(&acme, "acme")?;
    /// let request = Scope::new_in(&acme, "request 7");
    /// assert_eq!(request.run(preview)?, 7);
    /// assert_eq!(acme.get("previews")?.stats().completed, 1);
    /// assert!(TENANT.place().is_err()); // out here is no tenant
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`NotBound`], which says where it was asked.
    pub fn place(&self) -> Result<Lineage, NotBound> {
        self.bound_at(None)
    }

    /// The nearest place, at that one or above it, where a value is bound; see [`place`](Self::place).
    ///
    /// # Errors
    /// As [`place`](Self::place).
    pub fn place_at(&self, at: &Lineage) -> Result<Lineage, NotBound> {
        self.bound_at(Some(at))
    }

    fn bound_at(&self, at: Option<&Lineage>) -> Result<Lineage, NotBound> {
        let Some(core) = self.core.get() else { return Err(self.not_bound(at, None)) };
        // It is there: the place asked keeps all that it stands below.
        let owner = |slot_value: &Arc<SlotValue>| binding::<T>(slot_value).at.upgrade().map(Lineage);
        if matches!(self.policy, Policy::Isolated) {
            let exactly = at.map(|at| at.0.clone()).or_else(current::exactly_here);
            let Some(place) = exactly else { return Err(self.not_bound_here()) };
            let found = lookup::lend_own::<Values, _>(place.node(), &core.number, owner).flatten();
            return found.ok_or_else(|| self.not_bound(Some(&Lineage(place)), None).isolated());
        }
        let found = match at {
            None => lookup::lend_here::<Values, _>(&core.number, owner),
            Some(at) => lookup::lend::<Values, _>(at.0.node(), &core.number, owner),
        };
        found.flatten().ok_or_else(|| self.not_bound(at, None))
    }

    /// Lends the nearest value to `f`, without counting it. What is lent stays while `f` runs, whoever unbinds it.
    ///
    /// ```
    /// use heirloom::Heirloom;
    ///
    /// static GREETING: Heirloom<String> = Heirloom::new("greeting");
    /// GREETING.bind(String::from("hello"))?;
    /// assert_eq!(GREETING.with(|greeting| greeting.len())?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Result<R, NotBound> {
        self.find(None, |value| f(value))
    }

    #[inline]
    fn find<R>(&self, at: Option<&Lineage>, f: impl FnOnce(&Arc<T>) -> R) -> Result<R, NotBound> {
        let Some(core) = self.core.get() else { return Err(self.not_bound(at, None)) };
        if !matches!(self.policy, Policy::Inherited) {
            return self.find_otherwise(core, at, f);
        }
        let lend = |slot_value: &Arc<SlotValue>| f(binding(slot_value).value());
        let found = match at {
            None => lookup::lend_here::<Values, R>(&core.number, lend),
            Some(at) => lookup::lend::<Values, R>(at.0.node(), &core.number, lend),
        };
        found.ok_or_else(|| self.not_bound(at, None))
    }

    #[cold]
    fn not_bound(&self, at: Option<&Lineage>, cause: Option<InitError>) -> NotBound {
        // Asking in vain makes no node.
        let place = at.cloned().unwrap_or_else(|| Lineage(current::nearest()));
        NotBound::new(self.name, place.to_string(), place.id(), cause)
    }

    /// Of an isolated key, where no node is that could have one.
    #[cold]
    fn not_bound_here(&self) -> NotBound {
        // A task that is no node yet becomes one, so that the error can say where nothing is bound.
        let here = current::own_here();
        let cause = here.is_none().then_some(InitError::NoPlace { key: self.name });
        self.not_bound(Some(&Lineage(here.unwrap_or(NodeRef::PROCESS))), cause).isolated()
    }

    fn find_otherwise<R>(
        &self,
        core: &Core<T>,
        at: Option<&Lineage>,
        f: impl FnOnce(&Arc<T>) -> R,
    ) -> Result<R, NotBound> {
        let place = |at: Option<&Lineage>| at.map(|at| at.0.clone());
        let Policy::Fresh(make) = self.policy else {
            let Some(place) = place(at).or_else(current::exactly_here) else { return Err(self.not_bound_here()) };
            let lend = |slot_value: &Arc<SlotValue>| f(binding(slot_value).value());
            let found = lookup::lend_own::<Values, R>(place.node(), &core.number, lend);
            return found.ok_or_else(|| self.not_bound(Some(&Lineage(place)), None).isolated());
        };
        let Some(place) = place(at).or_else(current::own_here) else {
            let is_bound = lookup::lend_here::<Values, _>(&core.number, |_| ()).is_some();
            return Err(self.not_bound(None, is_bound.then_some(InitError::NoPlace { key: self.name })));
        };
        match self.fresh_at(core, &place, make) {
            Ok(Some(value)) => Ok(f(&value)),
            Ok(None) => Err(self.not_bound(Some(&Lineage(place)), None)),
            Err(error) => Err(self.not_bound(Some(&Lineage(place)), Some(error))),
        }
    }

    /// The place's own value, made of the nearest above if it has none.
    fn fresh_at(&self, core: &Core<T>, place: &NodeRef, make: fn(&T) -> T) -> Result<Option<Arc<T>>, InitError> {
        loop {
            let clone = |slot_value: &Arc<SlotValue>| Arc::clone(binding(slot_value).value());
            if let Some(own) = lookup::lend_own::<Values, _>(place.node(), &core.number, clone) {
                return Ok(Some(own));
            }
            let Some(above) = lookup::lend::<Values, _>(place.node(), &core.number, clone) else { return Ok(None) };
            let at = At { place, key: &core.key };
            let ask = InitCall { bindings: &core.bindings, at, deadline: None, sticky: false, derived: true };
            match ask.value(|| Ok(make(&above))) {
                // On another's thread; here it goes its own way.
                Err(InitError::Panicked { .. }) => {}
                made => return made.map(Some),
            }
        }
    }

    /// Binds a value at the current place: everything below finds it. The one that this very place had comes back.
    ///
    /// If an initialiser runs for this place, its waiters get this value, and so does the one who runs it.
    ///
    /// It takes a `T` or an `Arc<T>`, and no more than Rust converts to that: a `Heirloom<String>` is given
    /// `"acme".to_string()`, a `Heirloom<Box<dyn Store>>` a `Box::new(Disk) as Box<dyn Store>`.
    ///
    /// ```
    /// use heirloom::{BindError, Heirloom, Scope};
    ///
    /// static LEVEL: Heirloom<u32> = Heirloom::new("level");
    /// LEVEL.bind(1_u32)?;
    /// let before = LEVEL.bind(2_u32)?; // takes its place, for look-ups from now on
    /// assert_eq!(before.as_deref(), Some(&1));
    ///
    /// let request = Scope::new("request 7");
    /// let at = request.lineage().clone();
    /// request.close();
    /// assert!(matches!(LEVEL.bind_at(&at, 3_u32), Err(BindError::OwnerGone { .. })));
    /// # Ok::<(), BindError>(())
    /// ```
    ///
    /// # Errors
    /// [`Sealed`](BindError::Sealed), [`OwnerGone`](BindError::OwnerGone) in a scope that has ended, or
    /// [`NoPlace`](BindError::NoPlace) in code that shares its thread and has no place, such as a runtime's future.
    pub fn bind(&self, value: impl Into<Arc<T>>) -> Result<Option<Arc<T>>, BindError> {
        self.bind_as(&self.own_place()?, value.into(), BindMode::Replacing)
    }

    /// Where the code stands, for what is to be found there.
    fn own_place(&self) -> Result<NodeRef, BindError> {
        current::own_here().ok_or(BindError::NoPlace { key: self.name })
    }

    /// As [`bind`](Self::bind), at another place.
    ///
    /// # Errors
    /// [`Sealed`](BindError::Sealed), or [`OwnerGone`](BindError::OwnerGone) in a scope that has ended.
    pub fn bind_at(&self, at: &Lineage, value: impl Into<Arc<T>>) -> Result<Option<Arc<T>>, BindError> {
        self.bind_as(&at.0, value.into(), BindMode::Replacing)
    }

    /// Binds a value at the current place, unless that very place has one.
    ///
    /// ```
    /// use heirloom::{BindError, Heirloom};
    ///
    /// static RUNNER: Heirloom<&str> = Heirloom::new("runner");
    /// RUNNER.bind_unique("first")?;
    /// assert!(matches!(RUNNER.bind_unique("second"), Err(BindError::AlreadyBound { .. })));
    /// RUNNER.unbind();
    /// RUNNER.bind_unique("third")?;
    /// # Ok::<(), BindError>(())
    /// ```
    ///
    /// # Errors
    /// [`AlreadyBound`](BindError::AlreadyBound), and those of [`bind`](Self::bind).
    pub fn bind_unique(&self, value: impl Into<Arc<T>>) -> Result<(), BindError> {
        self.bind_as(&self.own_place()?, value.into(), BindMode::Unique).map(drop)
    }

    /// As [`bind_unique`](Self::bind_unique), at another place.
    ///
    /// # Errors
    /// [`AlreadyBound`](BindError::AlreadyBound), and those of [`bind_at`](Self::bind_at).
    pub fn bind_unique_at(&self, at: &Lineage, value: impl Into<Arc<T>>) -> Result<(), BindError> {
        self.bind_as(&at.0, value.into(), BindMode::Unique).map(drop)
    }

    fn bind_as(&self, place: &NodeRef, value: Arc<T>, mode: BindMode) -> Result<Option<Arc<T>>, BindError> {
        let core = self.core();
        core.bindings.bind(&At { place, key: &core.key }, value, mode)
    }

    /// Takes out the value that the very place where the code stands has, if it has one. Those who got it keep it.
    ///
    /// ```
    /// use heirloom::{Heirloom, Scope};
    ///
    /// static LEVEL: Heirloom<u32> = Heirloom::new("level");
    /// LEVEL.bind(1_u32)?;
    /// let below = Scope::new("below");
    /// assert_eq!(below.run(|| LEVEL.unbind()), None); // it has none of its own
    /// assert_eq!(LEVEL.unbind().as_deref(), Some(&1));
    /// # Ok::<(), heirloom::BindError>(())
    /// ```
    pub fn unbind(&self) -> Option<Arc<T>> {
        self.unbind_as(&current::exactly_here()?)
    }

    /// As [`unbind`](Self::unbind), at another place.
    pub fn unbind_at(&self, at: &Lineage) -> Option<Arc<T>> {
        self.unbind_as(&at.0)
    }

    fn unbind_as(&self, place: &NodeRef) -> Option<Arc<T>> {
        let core = self.core.get()?;
        core.bindings.unbind(&At { place, key: &core.key })
    }

    /// Runs `f` at a place of its own, below the current one, where the value is bound. What `f` starts finds it too,
    /// also when it runs on after `f`; nobody else does. Left also when `f` panics.
    ///
    /// A future that `f` only makes is polled later, elsewhere, and does not find it: for async code bind at a
    /// [`Scope`](crate::Scope) and run the future [in it](crate::FutureExt::in_scope).
    ///
    /// ```
    /// use heirloom::Heirloom;
    ///
    /// static USER: Heirloom<&str> = Heirloom::new("user");
    /// USER.bind("nobody")?;
    /// let seen = USER.run_with("ann", || USER.get().map(|user| *user))??;
    /// assert_eq!((seen, *USER.get()?), ("ann", "nobody"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Sealed`](BindError::Sealed); `f` did not run then.
    pub fn run_with<R>(&self, value: impl Into<Arc<T>>, f: impl FnOnce() -> R) -> Result<R, BindError> {
        // A scope that nobody ends: whatever goes on below it after `f` is neither refused nor cancelled.
        let role = Role::Scope(ScopeTrackers::new());
        let own = Node::new(&current::here(), Some(Cow::Borrowed(self.name)), role);
        let own = Lineage(own.into());
        self.bind_as(&own.0, value.into(), BindMode::Replacing)?;
        Ok(own.run(f))
    }

    /// Nothing more is bound under this key, anywhere. What is bound stays, and can be unbound; subscriptions end when
    /// they have told everything. An initialiser under way ends with [`InitError::Sealed`]. Idempotent.
    ///
    /// ```
    /// use heirloom::{BindError, Heirloom, Scope};
    ///
    /// static PLUGIN: Heirloom<&str> = Heirloom::new("plugin");
    /// PLUGIN.bind("built in")?;
    /// PLUGIN.seal(); // who comes later is told so, instead of being overlooked
    /// let late = PLUGIN.bind_at(&Scope::new("late"), "late");
    /// assert!(matches!(late, Err(BindError::Sealed { key: "plugin" })));
    /// # Ok::<(), BindError>(())
    /// ```
    pub fn seal(&self) {
        self.core().bindings.seal();
    }

    /// Every value of this key, wherever it was bound: those there are, then those to come.
    ///
    /// ```
    /// use heirloom::{Heirloom, Scope};
    ///
    /// static PLUGIN: Heirloom<&str> = Heirloom::new("plugin");
    /// PLUGIN.bind("early")?;
    /// let mut plugins = PLUGIN.subscribe();
    /// let scope = Scope::new("late");
    /// PLUGIN.bind_at(&scope, "late")?;
    /// assert_eq!(plugins.try_next().map(|bound| **bound.value()), Some("early"));
    /// assert_eq!(plugins.try_next().map(|bound| bound.at_id()), Some(scope.id()));
    /// # Ok::<(), heirloom::BindError>(())
    /// ```
    pub fn subscribe(&self) -> Subscription<T> {
        Subscription::new(&self.core().bindings)
    }

    /// The nearest value; if there is none, that of `f`, which is then bound at the process (of an
    /// [`isolated`](Self::isolated) key: at the current place). However many ask at once, wherever they stand, `f` runs
    /// once, standing there, and all get its value; nobody sees anything before it is ready.
    ///
    /// The others wait. A task that waits gives its place to the next one of its pool. Because `f` is run for them too,
    /// it finds what the owner finds, not the caller's own pools and values, and does not hear that the caller is
    /// asked to stop.
    ///
    /// ```
    /// use heirloom::Heirloom;
    ///
    /// static CONFIG: Heirloom<Vec<u8>> = Heirloom::new("config");
    /// let length = CONFIG.get_or_init(|| std::fs::read("Cargo.toml").unwrap_or_default())?.len();
    /// assert_eq!(CONFIG.get()?.len(), length); // bound now
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An [`InitError`], when another's `f` panicked or this wait could not end well.
    ///
    /// # Panics
    /// When this call's own `f` panics: the panic goes on. The others get [`InitError::Panicked`].
    pub fn get_or_init(&self, f: impl FnOnce() -> T) -> Result<Arc<T>, InitError> {
        self.init(None, None, || Ok(f()))
    }

    /// As [`get_or_init`](Self::get_or_init), with an initialiser that may fail. Everyone who waits gets its error;
    /// nothing is bound then, and the next call tries again.
    ///
    /// ```
    /// use heirloom::{Heirloom, InitError};
    ///
    /// static PORT: Heirloom<u16> = Heirloom::new("port");
    /// let failed = PORT.get_or_try_init(|| "eighty".parse::<u16>());
    /// assert!(matches!(failed, Err(InitError::Failed { .. })));
    /// assert_eq!(*PORT.get_or_try_init(|| "80".parse::<u16>())?, 80);
    /// # Ok::<(), InitError>(())
    /// ```
    ///
    /// # Errors
    /// [`Failed`](InitError::Failed) with the error of `f`, and those of [`get_or_init`](Self::get_or_init).
    ///
    /// # Panics
    /// As [`get_or_init`](Self::get_or_init).
    pub fn get_or_try_init<E>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, InitError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.init(None, None, || f().map_err(|error| failed(self.name, error)))
    }

    /// As [`get_or_init`](Self::get_or_init), without blocking the runtime, and with an initialiser that is async: `f` makes
    /// a future that one of those who ask polls, standing at the owner. If that one is dropped before it is ready, so is
    /// the initialiser, and one of the others begins anew with its own. Two async initialisers that await each other's
    /// values are not seen.
    ///
    /// ```
    /// use heirloom::Heirloom;
    ///
    /// static PORT: Heirloom<u16> = Heirloom::new("port");
    /// let port = futures::executor::block_on(PORT.get_or_init_async(|| async { 80 }))?; // on any runtime
    /// assert_eq!((*port, *PORT.get()?), (80, 80));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_or_init`](Self::get_or_init).
    ///
    /// # Panics
    /// As [`get_or_init`](Self::get_or_init).
    pub async fn get_or_init_async<F>(&self, f: impl FnOnce() -> F) -> Result<Arc<T>, InitError>
    where
        F: Future<Output = T>,
    {
        self.init_async(None, None, || ready(f())).await
    }

    /// As [`get_or_init_async`](Self::get_or_init_async), with an initialiser that may fail.
    ///
    /// # Errors
    /// As [`get_or_try_init`](Self::get_or_try_init).
    ///
    /// # Panics
    /// As [`get_or_init`](Self::get_or_init).
    pub async fn get_or_try_init_async<F, E>(&self, f: impl FnOnce() -> F) -> Result<Arc<T>, InitError>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.init_async(None, None, || tried(self.name, f())).await
    }

    /// The same verbs with a narrower owner: what is initialised is bound at that place.
    ///
    /// ```
    /// use heirloom::{Heirloom, InitError, Scope};
    ///
    /// static CACHE: Heirloom<Vec<u8>> = Heirloom::new("cache");
    /// let tenant = Scope::new("tenant 3");
    /// let request = Scope::new_in(&tenant, "request 7");
    /// request.run(|| CACHE.at(&tenant).get_or_init(Vec::new))?; // stands below, so it may
    /// assert!(CACHE.get_at(&tenant).is_ok() && CACHE.get().is_err());
    /// let sibling = Scope::new("tenant 4");
    /// let refused = sibling.run(|| CACHE.at(&tenant).get_or_init(Vec::new));
    /// assert!(matches!(refused, Err(InitError::NotBelow { .. })));
    /// # Ok::<(), InitError>(())
    /// ```
    pub fn at(&self, owner: &Lineage) -> HeirloomAt<'_, T> {
        HeirloomAt { key: self, owner: Some(owner.clone()), within: None }
    }

    /// The same verbs with a bound on how long to wait for another's initialiser.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    /// use heirloom::{Heirloom, InitError, thread};
    ///
    /// static SLOW: Heirloom<u32> = Heirloom::new("slow");
    /// let (go, gate) = mpsc::channel();
    /// let (began, begins) = mpsc::channel();
    /// let leader = thread::spawn(move || {
    ///     SLOW.get_or_try_init(|| {
    ///         let _ = began.send(());
    ///         gate.recv()
    ///     })
    /// });
    /// begins.recv()?;
    /// let early = SLOW.within(Duration::from_millis(1)).get_or_init(|| 0);
    /// assert!(matches!(early, Err(InitError::TimedOut { .. })));
    /// go.send(7)?;
    /// assert_eq!(*leader.join().unwrap()?, 7); // undisturbed
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn within(&self, d: Duration) -> HeirloomAt<'_, T> {
        HeirloomAt { key: self, owner: None, within: Some(d) }
    }

    fn init(
        &self,
        owner: Option<&Lineage>,
        within: Option<Duration>,
        make: impl FnOnce() -> Result<T, InitError>,
    ) -> Result<Arc<T>, InitError> {
        let place = match self.find_or_place(owner)? {
            Ok(found) => return Ok(found),
            Err(place) => place,
        };
        let core = self.core();
        let at = At { place: &place, key: &core.key };
        let deadline = within.and_then(park::after);
        let made = InitCall { bindings: &core.bindings, at, deadline, sticky: false, derived: false }.value(make)?;
        self.own_of(made)
    }

    async fn init_async<F>(
        &self,
        owner: Option<&Lineage>,
        within: Option<Duration>,
        make: impl FnOnce() -> F,
    ) -> Result<Arc<T>, InitError>
    where
        F: Future<Output = Result<T, InitError>>,
    {
        let place = match self.find_or_place(owner)? {
            Ok(found) => return Ok(found),
            Err(place) => place,
        };
        let core = self.core();
        let at = At { place: &place, key: &core.key };
        let deadline = within.and_then(park::after);
        let made = InitCall { bindings: &core.bindings, at, deadline, sticky: false, derived: false }
            .value_async(make)
            .await?;
        self.own_of(made)
    }

    /// The value, or where it is to be initialised.
    fn find_or_place(&self, owner: Option<&Lineage>) -> Result<Result<Arc<T>, NodeRef>, InitError> {
        let isolated = matches!(self.policy, Policy::Isolated);
        let no_place = InitError::NoPlace { key: self.name };
        if matches!(self.policy, Policy::Fresh(_)) && current::own_here().is_none() {
            // It would be made for others, and this place gets none.
            return Err(no_place);
        }
        // Only the owner's own counts for an isolated key.
        match self.find(owner.filter(|_| isolated), Arc::clone) {
            Ok(found) => return Ok(Ok(found)),
            Err(error) => error.init_error().map_or(Ok(()), |cause| Err(cause.clone()))?,
        }
        Ok(Err(match owner {
            Some(owner) => below(self.name, owner)?,
            None if isolated => current::own_here().ok_or(no_place)?,
            None => current::nearest().root(),
        }))
    }

    /// What this place gets of a value that was made for the owner.
    fn own_of(&self, made: Arc<T>) -> Result<Arc<T>, InitError> {
        match self.policy {
            // It is the owner's; this place gets its own.
            Policy::Fresh(_) => match self.get() {
                Ok(own) => Ok(own),
                Err(error) => error.init_error().map_or(Ok(made), |cause| Err(cause.clone())),
            },
            _ => Ok(made),
        }
    }
}

/// The owner's place, if the caller stands there or below.
pub(crate) fn below(key: &'static str, owner: &Lineage) -> Result<NodeRef, InitError> {
    let stands = Lineage(current::nearest());
    if stands.0.node().is_at_or_below(owner.0.node()) {
        return Ok(owner.0.clone());
    }
    Err(InitError::NotBelow { key, owner: owner.to_string(), place: stands.to_string() })
}

impl<T: Send + Sync + 'static> Drop for Heirloom<T> {
    fn drop(&mut self) {
        if let Some(core) = self.core.get() {
            core.bindings.give_up();
        }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Heirloom<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heirloom").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The verbs of a [`Heirloom`] with an owner or a bound of one's own; made by [`Heirloom::at`] and
/// [`Heirloom::within`].
#[must_use = "it does nothing by itself"]
pub struct HeirloomAt<'a, T: Send + Sync + 'static> {
    key: &'a Heirloom<T>,
    owner: Option<Lineage>,
    within: Option<Duration>,
}

impl<T: Send + Sync + 'static> HeirloomAt<'_, T> {
    /// Waits at most `d` for another's initialiser, which goes on undisturbed; then it is [`InitError::TimedOut`].
    pub fn within(mut self, d: Duration) -> Self {
        self.within = Some(d);
        self
    }

    fn binds_at(&self) -> Result<NodeRef, BindError> {
        self.owner.as_ref().map_or_else(|| self.key.own_place(), |owner| Ok(owner.0.clone()))
    }

    /// The nearest value at that place or above it; see [`Heirloom::get`].
    ///
    /// # Errors
    /// As [`Heirloom::get`].
    pub fn get(&self) -> Result<Arc<T>, NotBound> {
        self.key.find(self.owner.as_ref(), Arc::clone)
    }

    /// The nearest place, at that one or above it, where a value is bound; see [`Heirloom::place`].
    ///
    /// # Errors
    /// As [`Heirloom::place`].
    pub fn place(&self) -> Result<Lineage, NotBound> {
        self.key.bound_at(self.owner.as_ref())
    }

    /// Lends the nearest value at that place or above it; see [`Heirloom::with`].
    ///
    /// # Errors
    /// As [`Heirloom::get`].
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Result<R, NotBound> {
        self.key.find(self.owner.as_ref(), |value| f(value))
    }

    /// Binds a value there; see [`Heirloom::bind`].
    ///
    /// # Errors
    /// As [`Heirloom::bind`].
    pub fn bind(&self, value: impl Into<Arc<T>>) -> Result<Option<Arc<T>>, BindError> {
        self.key.bind_as(&self.binds_at()?, value.into(), BindMode::Replacing)
    }

    /// Binds a value there unless there is one; see [`Heirloom::bind_unique`].
    ///
    /// # Errors
    /// As [`Heirloom::bind_unique`].
    pub fn bind_unique(&self, value: impl Into<Arc<T>>) -> Result<(), BindError> {
        self.key.bind_as(&self.binds_at()?, value.into(), BindMode::Unique).map(drop)
    }

    /// Takes out the value that place itself has; see [`Heirloom::unbind`].
    pub fn unbind(&self) -> Option<Arc<T>> {
        match &self.owner {
            Some(owner) => self.key.unbind_as(&owner.0),
            None => self.key.unbind(),
        }
    }

    /// See [`Heirloom::get_or_init`]. A value that is nearer, or further up, is found first.
    ///
    /// # Errors
    /// As [`Heirloom::get_or_init`], and [`InitError::NotBelow`] for a caller who does not stand at the owner or below
    /// it.
    ///
    /// # Panics
    /// As [`Heirloom::get_or_init`].
    pub fn get_or_init(&self, f: impl FnOnce() -> T) -> Result<Arc<T>, InitError> {
        self.key.init(self.owner.as_ref(), self.within, || Ok(f()))
    }

    /// See [`Heirloom::get_or_try_init`].
    ///
    /// # Errors
    /// As [`Heirloom::get_or_try_init`], and [`InitError::NotBelow`] for a caller who does not stand at the owner or
    /// below it.
    ///
    /// # Panics
    /// As [`Heirloom::get_or_init`].
    pub fn get_or_try_init<E>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, InitError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let name = self.key.name;
        self.key.init(self.owner.as_ref(), self.within, || f().map_err(|error| failed(name, error)))
    }

    /// See [`Heirloom::get_or_init_async`].
    ///
    /// # Errors
    /// As [`get_or_init`](Self::get_or_init).
    ///
    /// # Panics
    /// As [`Heirloom::get_or_init`].
    pub async fn get_or_init_async<F>(&self, f: impl FnOnce() -> F) -> Result<Arc<T>, InitError>
    where
        F: Future<Output = T>,
    {
        self.key.init_async(self.owner.as_ref(), self.within, || ready(f())).await
    }

    /// See [`Heirloom::get_or_try_init_async`].
    ///
    /// # Errors
    /// As [`get_or_try_init`](Self::get_or_try_init).
    ///
    /// # Panics
    /// As [`Heirloom::get_or_init`].
    pub async fn get_or_try_init_async<F, E>(&self, f: impl FnOnce() -> F) -> Result<Arc<T>, InitError>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.key.init_async(self.owner.as_ref(), self.within, || tried(self.key.name, f())).await
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for HeirloomAt<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, owner, within } = self;
        f.debug_struct("HeirloomAt").field("key", &key.name).field("owner", owner).field("within", within).finish()
    }
}
