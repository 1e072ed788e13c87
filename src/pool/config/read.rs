//! The settings as the engine reads them.

use crate::pool::config::PoolConfig;
use crate::pool::config::gate::Gated;
use crate::pool::config::kind::PoolKind;
use crate::pool::config::rare::Rare;

impl PoolConfig {
    /// The settings that few pools have.
    #[inline]
    pub(crate) fn rare(&self) -> &Rare {
        static DEFAULTS: Rare = Rare::DEFAULTS;
        self.rare.as_deref().unwrap_or(&DEFAULTS)
    }

    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_with(|| Box::new(Rare::DEFAULTS))
    }

    pub(crate) fn set_gate(&mut self, gate: Gated) {
        self.rare_mut().gate = Some(gate);
    }

    /// The number of permits; 0 for a local pool.
    #[inline]
    pub(crate) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Returns whether the queue has a limit, for all tasks or for each tenant's.
    #[inline]
    pub(crate) fn is_bounded(&self) -> bool {
        let rare = self.rare();
        rare.queue_limit.is_some() || rare.order.as_ref().is_some_and(|order| order.limit_each.is_some())
    }

    /// The bound of the extra threads that the waits of the pool cause.
    pub(crate) fn most_blocked(&self) -> usize {
        self.rare().max_blocked.unwrap_or(self.kind.most_blocked())
    }

    /// The number of tasks that may run at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.limit().max(usize::from(self.kind == PoolKind::Local))
    }

    /// The stack that a task needs to run inside another one: half of a thread's stack.
    #[inline]
    pub(crate) fn stack_needed(&self) -> usize {
        /// The default of `std`.
        const THREAD: usize = 2 << 20;
        /// Enough for the engine itself.
        const LEAST: usize = 32 << 10;
        let whole = self.rare().threads.as_ref().and_then(|threads| threads.stack_size).unwrap_or(THREAD);
        (whole / 2).max(LEAST)
    }

    /// Returns whether rayon may steal the pool's code, and run it within another task's.
    #[inline]
    pub(crate) fn steals(&self) -> bool {
        #[cfg(feature = "rayon")]
        return self.kind == PoolKind::WorkStealing;
        #[cfg(not(feature = "rayon"))]
        return false;
    }
}
