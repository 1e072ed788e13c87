//! The database: a dedicated pool whose threads have a connection each, and statements that a cancel interrupts.

use std::path::{Path, PathBuf};

use heirloom::{Lineage, OnCancel, PoolConfig, TaskStream};
use rusqlite::{Connection, OpenFlags, params};

use crate::web::Failure;

/// The rows of one parcel of an export, and the parcels ahead of a slow client.
const ROWS: usize = 500;
const PARCELS: usize = 2;

/// Starts the pool `db` at the process, where every request finds it.
///
/// Each of its threads opens one connection before its first task, so there are never more than `connections`.
pub(crate) fn start(file: &Path, connections: usize, tenants: &[String], orders: u32) -> Result<(), Failure> {
    fill(file, tenants, orders)?;
    let file = PathBuf::from(file);
    let open = move || -> rusqlite::Result<Connection> {
        Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY)
    };
    let config = PoolConfig::dedicated(connections).queue_limit(256).worker_state(open).fair(); // tenants take turns
    Lineage::process().create("db").start(config)?;
    Ok(())
}

/// Runs a query, which stands in the calling request. A cancel of the request takes it out of the queue, or interrupts its
/// running statement.
pub(crate) async fn query<T, F>(f: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
{
    let db = heirloom::get("db")?.with_state()?;
    let query = db.call(|connection: &mut Connection| {
        let _stops = interrupts(connection);
        f(connection)
    });
    query.await
}

/// Returns a tenant's orders as CSV, in parcels, from a task that reads them no faster than the client does.
///
/// The task waits for a slow client. A cancel of the request interrupts the wait, and releases the connection.
pub(crate) fn export(tenant: String) -> Result<TaskStream<String, Failure>, Failure> {
    let db = heirloom::get("db")?.with_state()?;
    let parcels = db.stream_with_capacity(PARCELS, move |connection: &mut Connection, out| {
        let _stops = interrupts(connection);
        let orders = "SELECT day, item, cents FROM orders WHERE tenant = ? ORDER BY day";
        let mut statement = connection.prepare_cached(orders)?;
        let mut rows = statement.query([tenant])?;
        let mut parcel = String::from("day,item,cents\n");
        let mut lines = 0;
        while let Some(row) = rows.next()? {
            let (day, item, cents): (u32, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            parcel.push_str(&format!("{day},{item},{cents}\n"));
            lines += 1;
            if lines % ROWS == 0 {
                out.send(std::mem::take(&mut parcel))?; // fails when the client has disconnected
            }
        }
        Ok(out.send(parcel)?)
    });
    Ok(parcels?)
}

/// A cancel interrupts the connection's statement until the result is dropped.
fn interrupts(connection: &Connection) -> OnCancel {
    let statement = connection.get_interrupt_handle();
    heirloom::on_cancel(move || statement.interrupt())
}

/// Invents orders where the file has none.
fn fill(file: &Path, tenants: &[String], orders_each: u32) -> rusqlite::Result<()> {
    let mut connection = Connection::open(file)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         CREATE TABLE IF NOT EXISTS orders (tenant TEXT, day INTEGER, item TEXT, cents INTEGER);
         CREATE INDEX IF NOT EXISTS by_tenant ON orders (tenant, day);",
    )?;
    let all = connection.transaction()?;
    for tenant in tenants {
        let known: bool =
            all.query_row("SELECT EXISTS (SELECT 1 FROM orders WHERE tenant = ?)", [tenant], |row| row.get(0))?;
        if known {
            continue;
        }
        let orders = "WITH RECURSIVE n(i) AS (SELECT 0 WHERE 0 < ?2 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
             INSERT INTO orders
             SELECT ?1, i / 100, CASE i % 4 WHEN 0 THEN 'bolt' WHEN 1 THEN 'nut' WHEN 2 THEN 'washer' ELSE 'spring' END,
                 100 + i % 900 FROM n";
        all.execute(orders, params![tenant, orders_each])?;
    }
    all.commit()
}
