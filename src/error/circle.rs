//! [`Circle`]: waits that hold each other up, in words.

use std::fmt;

use crate::sync::os::Arc;

/// Waits of this crate that would hold each other up for ever: each link waits for the code of the next link, and the
/// last link for the code of the first.
///
/// It is a description, made when the circle was found, and keeps nothing alive. Cloning costs one atomic increment.
///
/// ```
/// use std::time::Duration;
/// use heirloom::{Gate, PoolConfig, Scope};
///
/// static STAGE: Gate = Gate::new("stage");
///
/// let scope = Scope::new("doc");
/// let work = scope.create("work");
/// work.start(PoolConfig::leased(1))?;
/// let held = STAGE.enter()?;
/// let task = work.submit(|| STAGE.enter_timeout(Duration::MAX).map(drop))?;
/// let busy = task.join()?.unwrap_err(); // this thread holds the gate, and waits for the task
/// let circle = busy.circle().expect("the two wait for each other");
/// assert!(circle.links()[0].awaits.starts_with("the gate \"stage\""));
/// println!("{circle}"); // task 7 of "work" on thread "heirloom-0" waits for the gate "stage", held up by thread "main"; …
/// # drop(held);
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Circle(Arc<Vec<Link>>);

/// One wait of a [`Circle`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// The waiter: a task and its thread, or a thread.
    pub waiter: String,
    /// The awaited thing.
    pub awaits: String,
}

impl Circle {
    pub(crate) fn new(links: Vec<Link>) -> Self {
        Self(Arc::new(links))
    }

    /// Of a wait for code further out on the waiting thread's own stack.
    pub(crate) fn of_one(waiter: String, awaits: String) -> Self {
        Self::new(vec![Link { waiter, awaits }])
    }

    /// The waits. The first is the refused one, and each link's `awaits` is held up by the `waiter` of the next.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.0
    }

    /// The same circle, seen from another of its links.
    pub(crate) fn from(&self, first: usize) -> Self {
        let mut links = self.0.as_ref().clone();
        links.rotate_left(first);
        Self::new(links)
    }
}

/// `task 3 of "a" on thread "x" waits for task 5 of "b", held up by task 5 of "b" on thread "y"; …`, on one line.
impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, link) in self.0.iter().enumerate() {
            let next = &self.0[(at + 1) % self.0.len()];
            let between = if at > 0 { "; " } else { "" };
            write!(f, "{between}{link}, held up by {}", next.waiter)?;
        }
        Ok(())
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} waits for {}", self.waiter, self.awaits)
    }
}

impl fmt::Debug for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Circle({self})")
    }
}
