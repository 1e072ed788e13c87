//! A gate that is found in the tree: a `Heirloom<Gate>`, as code and pools go through it.

use crate::error::gate::EnterError;
use crate::gate::{Gate, GateGuard};
use crate::pool::config::PoolConfig;
use crate::pool::config::gate::{Admission, Denied, GateMode, Gated};
use crate::value::heirloom::Heirloom;

impl Heirloom<Gate> {
    /// Goes in through the nearest gate that is bound here or above, waiting at most for its default wait.
    ///
    /// `None` comes back where the code may go on without one: with [`Skip`](GateMode::Skip), and with
    /// [`IfPresent`](GateMode::IfPresent) where none is bound. The guard keeps the gate.
    ///
    /// ```
    /// use heirloom::{EnterError, Gate, GateMode, Heirloom, Scope};
    ///
    /// static INSTRUMENT: Heirloom<Gate> = Heirloom::new("instrument");
    ///
    /// fn expose() -> Result<bool, EnterError> {
    ///     let inside = INSTRUMENT.enter(GateMode::IfPresent)?;
    ///     Ok(inside.is_some())
    /// }
    ///
    /// assert!(!expose()?); // nobody has one
    /// let lab = Scope::new("lab");
    /// INSTRUMENT.at(&lab).bind(Gate::new("stage and camera"))?;
    /// assert!(lab.run(expose)?);
    /// assert!(matches!(INSTRUMENT.enter(GateMode::Require), Err(EnterError::Missing(_)))); // out here
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Busy`](EnterError::Busy): somebody else was in all that time. [`Missing`](EnterError::Missing), with
    /// [`Require`](GateMode::Require): none is bound here or above.
    pub fn enter(&self, mode: GateMode) -> Result<Option<GateGuard<'static>>, EnterError> {
        let gate = match mode {
            GateMode::Skip => return Ok(None),
            GateMode::IfPresent => self.get_if_bound()?,
            GateMode::Require => Some(self.get()?),
        };
        Ok(gate.map(Gate::enter_shared).transpose()?)
    }

    /// As [`enter`](Self::enter), without blocking the runtime; see [`Gate::enter_async`].
    ///
    /// # Errors
    /// As [`enter`](Self::enter).
    pub async fn enter_async(&self, mode: GateMode) -> Result<Option<GateGuard<'static>>, EnterError> {
        let gate = match mode {
            GateMode::Skip => return Ok(None),
            GateMode::IfPresent => self.get_if_bound()?,
            GateMode::Require => Some(self.get()?),
        };
        match gate {
            Some(gate) => Ok(Some(gate.enter_shared_async().await?)),
            None => Ok(None),
        }
    }
}

impl Admission for Heirloom<Gate> {
    fn name(&self) -> &'static str {
        self.name()
    }

    fn let_in(&self, mode: GateMode, body: &mut dyn FnMut()) -> Result<(), Denied> {
        let gate = match mode {
            GateMode::Skip => Ok(None),
            GateMode::IfPresent => self.get_if_bound(),
            GateMode::Require => self.get().map(Some),
        };
        match gate {
            Ok(Some(gate)) => gate.around(body).map_err(Denied::Busy),
            Ok(None) => {
                body();
                Ok(())
            }
            Err(missing) => Err(Denied::Missing(Box::new(missing))),
        }
    }
}

impl PoolConfig {
    /// Runs the pool's tasks under a gate, as the mode says: the nearest one that is bound where a task stands, or
    /// above.
    ///
    /// It is looked for, and entered, just before the body of each task, by the task: what the body calls may enter
    /// again, what it submits to such a pool may not while it is in. It is let go before the result is seen. A task
    /// that finds it held waits for the gate's default wait, and fails then with
    /// [`TaskError::is_busy`](crate::TaskError::is_busy): its body has not run, it counts as cancelled, and who
    /// held the gate is said once through `tracing` at WARN. While it waits it keeps its place in the pool, unless
    /// that wait is for ever: so a pool of `n` has at most `n` tasks at the gate, and a pool of one none that finds
    /// another of its own there.
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
    ///     assert_eq!(reads.submit(|| "at 7 mm")?.join()?, "at 7 mm"); // never under it
    ///     drop(inside);
    ///     assert_eq!(actions.submit(|| "moved")?.join()?, "moved");
    ///     Ok::<(), Box<dyn std::error::Error>>(())
    /// })?;
    /// assert!(actions.submit(|| "moved")?.join().is_err_and(|e| e.is_gate_missing())); // submitted out here
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn gate(mut self, key: &'static Heirloom<Gate>, mode: GateMode) -> Self {
        self.gate = Some(Box::new(Gated { key, mode }));
        self
    }
}
