//! [`Heirloom`]: the key of one value at each node, found from every node below.

pub(crate) mod at;
mod find;
mod init;
mod tenant;

use std::borrow::Cow;
use std::fmt;

use crate::error::Error;
use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::lineage::node::{Node, NodeRef, Role, ScopeTrackers};
use crate::names::namespace::Namespace;
use crate::sync::os::{Arc, OnceLock};
use crate::value::bindings::Bindings;
use crate::value::key::Interned;
use crate::value::site::Site;
use crate::value::slot::{self, BindMode, BindingSlot};
use crate::value::subscribe::Subscription;
#[cfg(feature = "remote")]
use crate::value::travel::Encode;

/// A key under which a value is bound at a node and found from every node below, the nearest first.
///
/// Examples are a database handle of the process, a request's id, a tenant's settings. The key is mostly a `static`.
/// Its identity is the key itself, not its name: two keys with one name are independent. Dropping a key that is no
/// static takes its values out of the tree.
///
/// A look-up takes no lock and costs about as much as finding a manager; [`with`](Self::with) does not even count a
/// reference. A value lives until it is unbound or replaced, or until its node ends. A scope drops its values once it
/// was closed or cancelled and no task below it is left. A caller that got the value keeps it as an `Arc`.
///
/// Each verb acts where the code stands; [`at`](Self::at) has the same verbs for another node.
///
/// ```
/// use heirloom::{Heirloom, PoolConfig, Scope};
///
/// static TENANT: Heirloom<String> = Heirloom::new("tenant");
///
/// let request = Scope::new("request 7");
/// TENANT.at(&request).bind(String::from("acme"))?;
/// let pool = request.create("render");
/// pool.start(PoolConfig::leased(2))?;
/// let seen = request.run(|| pool.submit(|| TENANT.get()))?.join()??; // on another thread
/// assert_eq!(*seen, "acme");
/// assert!(TENANT.get().is_err()); // none is bound out here
/// # Ok::<(), heirloom::Error>(())
/// ```
pub struct Heirloom<T: Send + Sync + 'static> {
    name: &'static str,
    /// Also makes the key invariant in `T`, so that a value of one type is not found as another.
    policy: Policy<T>,
    core: OnceLock<Core<T>>,
    /// Encodes a value that travels with remote jobs.
    #[cfg(feature = "remote")]
    pub(crate) travels: Option<Encode<T>>,
}

/// Which nodes below a binding see it.
enum Policy<T> {
    Inherited,
    Isolated,
    Fresh(fn(&T) -> T),
}

/// Made with the first value or subscription: until then no value is bound.
struct Core<T: Send + Sync + 'static> {
    /// A copy of the bindings' number: a look-up reads it without another load.
    number: Namespace,
    key: Arc<Interned<()>>,
    bindings: Arc<Bindings<(), T>>,
}

impl<T: Send + Sync + 'static> Heirloom<T> {
    /// Makes a key whose values are inherited. The name is for errors; it need not be unique.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            policy: Policy::Inherited,
            core: OnceLock::new(),
            #[cfg(feature = "remote")]
            travels: None,
        }
    }

    /// A value is found at its node and from every node below: the policy of a new key.
    #[must_use]
    pub const fn inherited(mut self) -> Self {
        self.policy = Policy::Inherited;
        self
    }

    /// A value is found at its very node alone: a task does not see its submitter's, nor a thread its parent's.
    /// [`get_or_init`](Self::get_or_init) initialises one for the current node.
    ///
    /// ```
    /// use heirloom::{Heirloom, thread};
    ///
    /// static INVOCATION: Heirloom<u64> = Heirloom::new("invocation").isolated();
    /// INVOCATION.run_with(7, || {
    ///     assert_eq!(*INVOCATION.get()?, 7);
    ///     assert!(thread::spawn(|| INVOCATION.get().is_err())?.join()?);
    ///     Ok::<_, heirloom::Error>(())
    /// })??;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub const fn isolated(mut self) -> Self {
        self.policy = Policy::Isolated;
        self
    }

    /// Each node below a value gets a value of its own at its first look-up: `make` of the nearest value above.
    ///
    /// `make` runs once for a node, at that node; other callers there wait for it meanwhile. A node in between that was
    /// never asked has no value, so the value of a node can depend on earlier look-ups above it. Such values are not
    /// announced to subscribers, and are made after [`seal`](Self::seal) too.
    ///
    /// ```
    /// use heirloom::{Heirloom, Scope};
    ///
    /// /// Counts for one node, beginning with the count above.
    /// static DEPTH: Heirloom<u32> = Heirloom::new("depth").fresh(|above| above + 1);
    /// let outer = Scope::new("outer");
    /// DEPTH.at(&outer).bind(0_u32)?;
    /// let inner = Scope::new_in(&outer, "inner");
    /// assert_eq!(*DEPTH.at(&inner).get()?, 1);
    /// assert_eq!(*DEPTH.at(&Scope::new_in(&inner, "innermost")).get()?, 2);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub const fn fresh(mut self, make: fn(&T) -> T) -> Self {
        self.policy = Policy::Fresh(make);
        self
    }

    /// Returns the key's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    fn core(&self) -> &Core<T> {
        self.core.get_or_init(|| {
            let bindings = Bindings::new(self.name, false);
            #[cfg(feature = "remote")]
            self.list_travelling(&bindings);
            Core { number: bindings.number.clone(), key: Interned::alone(bindings.number.clone(), ()), bindings }
        })
    }

    fn slot(&self, node: NodeRef) -> BindingSlot<'_, (), T> {
        let core = self.core();
        BindingSlot { bindings: &core.bindings, node, key: Arc::clone(&core.key) }
    }

    /// Returns the nearest value.
    ///
    /// ```
    /// use heirloom::{Heirloom, Scope};
    ///
    /// static TENANT: Heirloom<&str> = Heirloom::new("tenant");
    /// let request = Scope::new("request 7");
    /// TENANT.at(&request).bind("acme")?;
    /// assert_eq!(*request.run(|| TENANT.get())?, "acme");
    /// let missing = TENANT.get().unwrap_err();
    /// assert!(missing.to_string().contains("no value of \"tenant\""));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`NotBound`](crate::NotBound), which names the node that was asked; with [`fresh`](Self::fresh) also when the node's own value
    /// could not be made.
    #[inline]
    pub fn get(&self) -> Result<Arc<T>, Error> {
        Ok(self.find_here()?)
    }

    /// Lends the nearest value to `f`, without counting a reference. The value stays while `f` runs, also when it is
    /// unbound meanwhile.
    ///
    /// ```
    /// use heirloom::Heirloom;
    ///
    /// static GREETING: Heirloom<String> = Heirloom::new("greeting");
    /// GREETING.bind(String::from("hello"))?;
    /// assert_eq!(GREETING.with(|greeting| greeting.len())?, 5);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Result<R, Error> {
        Ok(self.find(Site::HERE, |value| f(value))?)
    }

    /// Returns the node of the value that [`get`](Self::get) returns.
    ///
    /// With it a request finds its tenant, to make a pool there that all the tenant's requests share, or to start work
    /// there that outlives the response. Of an [`isolated`](Self::isolated) key it is always the node where the code
    /// stands. Of a [`fresh`](Self::fresh) key it is the current node once that has its own value, and else the node
    /// above whose value it would be made of; no value is made. Costs as much as [`get`](Self::get).
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
    /// TENANT.at(&acme).bind("acme")?;
    /// let request = Scope::new_in(&acme, "request 7");
    /// assert_eq!(request.run(preview)?, 7);
    /// assert_eq!(acme.get("previews")?.stats().completed, 1);
    /// assert!(TENANT.place().is_err()); // no tenant out here
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`NotBound`](crate::NotBound), which names the node that was asked.
    pub fn place(&self) -> Result<Lineage, Error> {
        Ok(self.find_place(Site::HERE)?)
    }

    /// Binds a value at the current node, for it and every node below. Returns the value that this very node had.
    ///
    /// If an initialiser runs for this node, its waiters get the new value, and so does the caller that runs it.
    ///
    /// It takes a `T` or an `Arc<T>`, and only the conversions that Rust has: a `Heirloom<String>` is given
    /// `"acme".to_string()`, a `Heirloom<Box<dyn Store>>` a `Box::new(Disk) as Box<dyn Store>`.
    ///
    /// ```
    /// use heirloom::{Heirloom, Scope};
    ///
    /// static LEVEL: Heirloom<u32> = Heirloom::new("level");
    /// LEVEL.bind(1_u32)?;
    /// let before = LEVEL.bind(2_u32)?; // replaces it, for look-ups from now on
    /// assert_eq!(before.as_deref(), Some(&1));
    ///
    /// let request = Scope::new("request 7");
    /// let at = request.lineage().clone();
    /// request.close();
    /// assert_eq!(LEVEL.at(&at).bind(3_u32).unwrap_err().kind(), heirloom::ErrorKind::ScopeEnded);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Sealed`](crate::BindError::Sealed), [`OwnerGone`](crate::BindError::OwnerGone) in a scope that has ended, or
    /// [`NoPlace`](crate::BindError::NoPlace) in code that shares its thread and has no node of its own, such as a runtime's
    /// future.
    pub fn bind(&self, value: impl Into<Arc<T>>) -> Result<Option<Arc<T>>, Error> {
        self.bind_in(Site::HERE, value.into(), BindMode::Replacing)
    }

    /// Binds a value at the current node, unless that very node has one.
    ///
    /// ```
    /// use heirloom::Heirloom;
    ///
    /// static RUNNER: Heirloom<&str> = Heirloom::new("runner");
    /// RUNNER.bind_unique("first")?;
    /// assert_eq!(RUNNER.bind_unique("second").unwrap_err().kind(), heirloom::ErrorKind::AlreadyBound);
    /// RUNNER.unbind();
    /// RUNNER.bind_unique("third")?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`AlreadyBound`](crate::BindError::AlreadyBound), and those of [`bind`](Self::bind).
    pub fn bind_unique(&self, value: impl Into<Arc<T>>) -> Result<(), Error> {
        self.bind_in(Site::HERE, value.into(), BindMode::Unique).map(drop)
    }

    fn bind_in(&self, site: Site<'_>, value: Arc<T>, mode: BindMode) -> Result<Option<Arc<T>>, Error> {
        Ok(self.slot(site.binds_at(self.name)?).bind(value, mode)?)
    }

    /// Removes the value of the very node where the code stands, and returns it. Callers that got it keep it.
    ///
    /// ```
    /// use heirloom::{Heirloom, Scope};
    ///
    /// static LEVEL: Heirloom<u32> = Heirloom::new("level");
    /// LEVEL.bind(1_u32)?;
    /// let below = Scope::new("below");
    /// assert_eq!(below.run(|| LEVEL.unbind()), None); // it has none of its own
    /// assert_eq!(LEVEL.unbind().as_deref(), Some(&1));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn unbind(&self) -> Option<Arc<T>> {
        self.unbind_in(Site::HERE)
    }

    fn unbind_in(&self, site: Site<'_>) -> Option<Arc<T>> {
        self.core.get()?;
        self.slot(site.exactly()?).unbind()
    }

    /// Runs `f` at a node of its own, below the current one, where the value is bound. The node is left also when `f`
    /// panics.
    ///
    /// Tasks and threads that `f` starts find the value too, also after `f` has returned; no other code does.
    ///
    /// A future that `f` only makes is polled later, elsewhere, and does not find it: for async code bind at a
    /// [`Scope`](crate::Scope) and run the future [in it](crate::FutureExt::in_scope).
    ///
    /// ```
    /// use heirloom::Heirloom;
    ///
    /// static USER: Heirloom<&str> = Heirloom::new("user");
    /// USER.bind("guest")?;
    /// let seen = USER.run_with("ann", || USER.get().map(|user| *user))??;
    /// assert_eq!((seen, *USER.get()?), ("ann", "guest"));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Sealed`](crate::BindError::Sealed); `f` did not run then.
    pub fn run_with<R>(&self, value: impl Into<Arc<T>>, f: impl FnOnce() -> R) -> Result<R, Error> {
        // A scope that is never ended: work below it that goes on after `f` is neither refused nor cancelled.
        let role = Role::Scope(ScopeTrackers::new());
        let own = Lineage(Node::new(&current::here(), Some(Cow::Borrowed(self.name)), role).into());
        self.bind_in(Site::at(&own), value.into(), BindMode::Replacing)?;
        Ok(own.run(f))
    }

    /// Ends all later bindings of this key, at every node. Idempotent.
    ///
    /// Bound values stay, and can be unbound. Subscriptions end once they have returned every value. An initialiser
    /// that is under way ends with [`InitError::Sealed`](crate::InitError::Sealed).
    ///
    /// ```
    /// use heirloom::{Heirloom, Scope};
    ///
    /// static PLUGIN: Heirloom<&str> = Heirloom::new("plugin");
    /// PLUGIN.bind("built in")?;
    /// PLUGIN.seal(); // a late plugin gets an error, instead of being overlooked
    /// let late = PLUGIN.at(&Scope::new("late")).bind("late");
    /// assert_eq!(late.unwrap_err().kind(), heirloom::ErrorKind::Sealed);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn seal(&self) {
        self.core().bindings.seal();
    }

    /// Returns every value of this key, at whatever node it is bound: the present ones, then the later ones.
    ///
    /// ```
    /// use heirloom::{Heirloom, Scope};
    ///
    /// static PLUGIN: Heirloom<&str> = Heirloom::new("plugin");
    /// PLUGIN.bind("early")?;
    /// let mut plugins = PLUGIN.subscribe();
    /// let scope = Scope::new("late");
    /// PLUGIN.at(&scope).bind("late")?;
    /// assert_eq!(plugins.try_next().map(|bound| **bound.value()), Some("early"));
    /// assert_eq!(plugins.try_next().map(|bound| bound.at_id()), Some(scope.id()));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn subscribe(&self) -> Subscription<T> {
        Subscription::new(&self.core().bindings)
    }
}

impl<T: Send + Sync + 'static> Drop for Heirloom<T> {
    fn drop(&mut self) {
        if let Some(core) = self.core.get() {
            slot::give_up(&core.bindings);
        }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Heirloom<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heirloom").field("name", &self.name).finish_non_exhaustive()
    }
}
