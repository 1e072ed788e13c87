//! A scope for each tenant, with a pool of its own: a busy tenant holds up no other tenant.

use std::collections::BTreeMap;
use std::sync::Arc;

use heirloom::{Heirloom, Lineage, PoolConfig, Scope};

/// The tenant of the running code. No function passes it on.
pub(crate) static TENANT: Heirloom<String> = Heirloom::new("tenant");

/// The limit and the queue limit of a tenant's pool.
const AT_ONCE: usize = 2;
const QUEUED: usize = 64;

/// The tenants' scopes, shared by clones.
///
/// `main` keeps a clone until the end: axum drops the router, and the clone that its layer owns, when `serve` ends, and a
/// dropped scope cancels.
#[derive(Clone)]
pub(crate) struct Tenants(Arc<BTreeMap<String, Scope>>);

impl Tenants {
    pub(crate) fn open(names: &[String]) -> Result<Self, heirloom::Error> {
        let mut tenants = BTreeMap::new();
        for name in names {
            let scope = Scope::new_in(&Lineage::process(), format!("tenant {name}"));
            TENANT.at(&scope).bind(name.clone())?;
            render_pool(&scope)?;
            tenants.insert(name.clone(), scope);
        }
        Ok(Self(Arc::new(tenants)))
    }

    /// Returns the node of the tenant that a path like `/acme/report` begins with.
    pub(crate) fn of_path(&self, path: &str) -> Option<Lineage> {
        let name = path.trim_start_matches('/').split('/').next()?;
        self.0.get(name).map(|scope| scope.lineage().clone())
    }
}

/// Starts the tenant's pool, which its requests find by name. A tenant that fills the queue gets 503, and no other does.
fn render_pool(tenant: &Scope) -> Result<(), heirloom::Error> {
    tenant.create("render").start(PoolConfig::leased(AT_ONCE).queue_limit(QUEUED))
}
