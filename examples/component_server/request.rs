//! A request's node in the family tree: its scope, its own `"render"` pool, and the way to the pools from inside.
//!
//! ```text
//! process                       owns "io" and "highlight"
//! └─ GET /README.md             owns "render", which takes only component_render
//!    └─ component_render        the whole page; finds all three by walking up
//!       ├─ component_render     a part of the one above, and below it
//!       │  └─ component_render
//!       └─ task of "io"         also below its submitter, not below the owner of its pool
//! ```

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use heirloom::{Lineage, NodeId, NodeKind, PoolConfig, TaskHandle};
use rayon::prelude::*;

use crate::components::Component;
use crate::document::{Code, Document, Section};
use crate::error::PageError;
use crate::process::{HIGHLIGHT, IO};
use crate::reader::Reader;
use crate::tally::TALLY;

const RENDER: &str = "render";
const COMPONENT: &str = "component_render";

/// How many components of one request are rendered at a time.
pub(crate) const AT_A_TIME: usize = 4;

/// The most lines that a page colours on its own pool. Below this there is nothing to gain from more threads.
pub(crate) const SHORT: usize = 100;

/// Gives the handler's request a pool of its own.
pub(crate) fn open(reader: Reader) -> Result<Ticket, PageError> {
    let number = TALLY.request();
    let pool = heirloom::create(RENDER);
    TALLY.manager_created();
    pool.start(PoolConfig::leased(AT_A_TIME).task_type(COMPONENT))?;
    let scope = heirloom::current().id();
    Ok(Ticket { number, scope, opened: Instant::now(), components: Arc::default(), reader })
}

/// The facts about a request that its tasks get as arguments.
///
/// The tasks find their pools without them. They go beside the tree, so that the tasks can compare the tree with them.
#[derive(Clone)]
pub(crate) struct Ticket {
    pub(crate) number: u64,
    pub(crate) opened: Instant,
    scope: NodeId,
    components: Arc<AtomicUsize>,
    reader: Reader,
}

impl Ticket {
    /// The number of components that this request has submitted until now.
    pub(crate) fn components(&self) -> usize {
        self.components.load(Relaxed)
    }

    /// Starts to render a component. The handler calls this, and so does a component that has parts.
    pub(crate) fn component(&self, part: impl Component) -> Result<TaskHandle<Result<String, PageError>>, PageError> {
        self.counts_component();
        let ticket = self.clone();
        Ok(heirloom::get(RENDER)?.submit_as(COMPONENT, move || ticket.checked(|| part.render(&ticket))())?)
    }

    /// Starts to render components of one kind, in one step.
    pub(crate) fn components_of<C: Component>(
        &self,
        parts: Vec<C>,
    ) -> Result<Vec<TaskHandle<Result<String, PageError>>>, PageError> {
        let render = parts.into_iter().map(|part| {
            self.counts_component();
            let ticket = self.clone();
            move || ticket.checked(|| part.render(&ticket))()
        });
        Ok(heirloom::get(RENDER)?.of_type(COMPONENT).submit_many(render)?)
    }

    /// Renders a component that is needed now: on the calling thread, if the pool has nothing else to start.
    pub(crate) fn component_here(&self, part: impl Component) -> Result<String, PageError> {
        self.counts_component();
        heirloom::get(RENDER)?.of_type(COMPONENT).run(self.checked(|| part.render(self)))?
    }

    fn counts_component(&self) {
        self.components.fetch_add(1, Relaxed);
        TALLY.component();
    }

    /// Does something that blocks, as a task of the process's pool, which limits how much of it is done at a time.
    pub(crate) fn on_io<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, PageError> {
        Ok(heirloom::get(IO)?.run(self.checked(work))?)
    }

    /// Colours all code of a long page, on all cores; a short page's components colour their own.
    ///
    /// Stolen pieces stand at the pool's owner, so each piece is carried back to the request.
    pub(crate) fn colour(&self, document: &mut Document) -> Result<(), PageError> {
        if document.lines_to_colour() <= SHORT {
            return Ok(());
        }
        let here = heirloom::current();
        let codes: Vec<&mut Code> = document.sections.iter_mut().flat_map(Section::codes).collect();
        heirloom::get(HIGHLIGHT)?.install(|| {
            codes.into_par_iter().for_each(here.carry(|code: &mut Code| {
                TALLY.lineage(self.stands_below_its_own_request());
                code.colour(|| self.goes_on());
            }));
        })?;
        Ok(())
    }

    /// Whether the next line is to be coloured: not when the request's scope was cancelled.
    pub(crate) fn goes_on(&self) -> bool {
        let goes_on = heirloom::checkpoint().is_ok();
        if goes_on {
            TALLY.line(self.reader.is_gone());
        }
        goes_on
    }

    /// Looks where the task stands before it begins.
    fn checked<T>(&self, work: impl FnOnce() -> T) -> impl FnOnce() -> T {
        || {
            TALLY.lineage(self.stands_below_its_own_request());
            work()
        }
    }

    /// Whether the current node has this request among its ancestors and no other, and finds this request's pool.
    fn stands_below_its_own_request(&self) -> bool {
        let here = heirloom::current();
        let mut scopes = here.ancestors().filter(|place| place.kind() == NodeKind::Scope);
        let only_mine = scopes.next().is_some_and(|place| place.id() == self.scope) && scopes.next().is_none();
        let owner = heirloom::with(RENDER, |pool| pool.owner());
        only_mine && owner.is_ok_and(|owner| owner.is_some_and(|owner| owner.id() == self.scope))
    }
}

/// The names of all nodes from here up to the process; the kind of a node without a name.
pub(crate) fn lineage() -> Vec<String> {
    let name = |place: Lineage| place.name().unwrap_or(place.kind().as_str()).to_owned();
    heirloom::current().ancestors().map(name).collect()
}
