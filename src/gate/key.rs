//! A gate that is found in the tree: a `Heirloom<Gate>`, as code and pools enter it.

use crate::error::{Error, NotBound};
use crate::gate::Gate;
use crate::gate::guard::GateGuard;
use crate::pool::config::PoolConfig;
use crate::pool::config::gate::{Admission, Denied, GateMode, Gated};
use crate::sync::os::Arc;
use crate::value::heirloom::Heirloom;

impl Heirloom<Gate> {
    /// Enters the nearest gate that is bound here or above, and waits for it at most its default wait.
    ///
    /// Returns `None` where the code may go on without a gate: with [`Skip`](GateMode::Skip), and with
    /// [`IfPresent`](GateMode::IfPresent) where none is bound. The guard keeps the gate alive.
    ///
    /// ```
    /// use heirloom::{Error, ErrorKind, Gate, GateMode, Heirloom, Scope};
    ///
    /// static INSTRUMENT: Heirloom<Gate> = Heirloom::new("instrument");
    ///
    /// fn expose() -> Result<bool, Error> {
    ///     let inside = INSTRUMENT.enter(GateMode::IfPresent)?;
    ///     Ok(inside.is_some())
    /// }
    ///
    /// assert!(!expose()?); // none is bound
    /// let lab = Scope::new("lab");
    /// INSTRUMENT.at(&lab).bind(Gate::new("stage and camera"))?;
    /// assert!(lab.run(expose)?);
    /// assert_eq!(INSTRUMENT.enter(GateMode::Require).unwrap_err().kind(), ErrorKind::NotBound); // out here
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Busy`]: another holder had it all that time. [`Error::NotBound`], with [`Require`](GateMode::Require):
    /// none is bound here or above.
    pub fn enter(&self, mode: GateMode) -> Result<Option<GateGuard<'static>>, Error> {
        Ok(self.nearest(mode)?.map(Gate::enter_shared).transpose()?)
    }

    /// As [`enter`](Self::enter), without blocking the runtime; see [`Gate::enter_async`].
    ///
    /// # Errors
    /// As [`enter`](Self::enter).
    pub async fn enter_async(&self, mode: GateMode) -> Result<Option<GateGuard<'static>>, Error> {
        match self.nearest(mode)? {
            Some(gate) => Ok(Some(gate.enter_shared_async().await?)),
            None => Ok(None),
        }
    }

    fn nearest(&self, mode: GateMode) -> Result<Option<Arc<Gate>>, NotBound> {
        match mode {
            GateMode::Skip => Ok(None),
            GateMode::IfPresent => self.get_if_bound(),
            GateMode::Require => self.find_here().map(Some),
        }
    }
}

impl Admission for Heirloom<Gate> {
    fn name(&self) -> &'static str {
        self.name()
    }

    fn let_in(&self, mode: GateMode, body: &mut dyn FnMut()) -> Result<(), Denied> {
        match self.nearest(mode) {
            Ok(Some(gate)) => gate.around(body).map_err(Denied::Busy),
            Ok(None) => {
                body();
                Ok(())
            }
            Err(missing) => Err(Denied::Missing(missing)),
        }
    }
}

impl PoolConfig {
    /// Runs the pool's tasks under a gate, as the mode says: the nearest one that is bound where a task stands, or
    /// above.
    ///
    /// The task looks the gate up and enters it just before its body. Code that the body calls may enter again; a task
    /// that the body submits to such a pool may not, as long as the body is inside. The task leaves the gate before its
    /// result is seen.
    ///
    /// A task that finds the gate held waits the gate's default wait, and then fails with
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy): its body has not run, it counts as cancelled, and the holder
    /// is reported once through `tracing` at WARN. While it waits it keeps its permit, unless that wait has no bound.
    /// So a pool of `n` has at most `n` tasks at the gate, and in a pool of one no task finds another task of the pool
    /// there.
    ///
    /// ```
    /// use heirloom::{Gate, GateMode, Heirloom, PoolConfig, Scope};
    ///
    /// static INSTRUMENT: Heirloom<Gate> = Heirloom::new("instrument");
    ///
    /// let lab = Scope::new("lab");
    /// INSTRUMENT.at(&lab).bind(Gate::new("stage and camera"))?;
    /// let actions = lab.create("actions");
    /// actions.start(PoolConfig::leased(4).gate(&INSTRUMENT, GateMode::Require))?;
    /// let reads = lab.create("reads");
    /// reads.start(PoolConfig::leased(4).gate(&INSTRUMENT, GateMode::Skip))?;
    ///
    /// lab.run(|| {
    ///     let inside = INSTRUMENT.enter(GateMode::Require)?; // by this thread
    ///     let refused = actions.submit(|| "moved")?.join().unwrap_err();
    ///     assert_eq!(refused.as_busy().unwrap().holder.thread, std::thread::current().id());
    ///     assert_eq!(reads.submit(|| "at 7 mm")?.join()?, "at 7 mm"); // never under the gate
    ///     drop(inside);
    ///     assert_eq!(actions.submit(|| "moved")?.join()?, "moved");
    ///     Ok::<(), heirloom::Error>(())
    /// })?;
    /// assert!(actions.submit(|| "moved")?.join().is_err_and(|e| e.kind() == heirloom::ErrorKind::NotBound)); // submitted out here
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn gate(mut self, key: &'static Heirloom<Gate>, mode: GateMode) -> Self {
        self.set_gate(Gated { key, mode });
        self
    }
}
