//! The database: a dedicated pool whose threads have a connection each, and statements that a cancel interrupts.

use std::path::{Path, PathBuf};

use heirloom::{Lineage, PoolConfig, TaskHandle};
use rusqlite::{Connection, OpenFlags, params};
use tokio::sync::mpsc;

use crate::web::Failure;

/// The rows of one parcel of an export, and the parcels queued for a slow client.
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
    Lineage::process().create("db").start(PoolConfig::dedicated(connections).queue_limit(256).worker_state(open))?;
    Ok(())
}

/// Submits a query, which stands in the calling request. A cancel of the request takes it out of the queue, or interrupts
/// its running statement.
pub(crate) fn query<T, F>(f: F) -> Result<TaskHandle<Result<T, Failure>>, Failure>
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
{
    let task = heirloom::get("db")?.submit_with_state(|connection: &mut Connection| {
        let statement = connection.get_interrupt_handle();
        let _stops = heirloom::on_cancel(move || statement.interrupt());
        f(connection)
    });
    Ok(task?)
}

/// The task of an export.
pub(crate) type Ends = TaskHandle<Result<(), Failure>>;

/// Returns a tenant's orders as CSV, in parcels, and the task that reads them no faster than the client does.
///
/// The task waits for a slow client. A cancel of the request interrupts the wait, and releases the connection.
pub(crate) fn export(tenant: String) -> Result<(mpsc::Receiver<String>, Ends), Failure> {
    let (out, parcels) = mpsc::channel(PARCELS);
    let export =
        query(move |connection| read(connection, &tenant, |parcel| Ok(heirloom::block_on(out.send(parcel))?.is_ok())));
    Ok((parcels, export?))
}

/// Reads the orders into parcels. Ends early when `take` returns false, since the client has disconnected.
fn read(
    connection: &Connection,
    tenant: &str,
    mut take: impl FnMut(String) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let mut statement =
        connection.prepare_cached("SELECT day, item, cents FROM orders WHERE tenant = ? ORDER BY day")?;
    let mut rows = statement.query([tenant])?;
    let mut parcel = String::from("day,item,cents\n");
    let mut lines = 0;
    while let Some(row) = rows.next()? {
        let (day, item, cents): (u32, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        parcel.push_str(&format!("{day},{item},{cents}\n"));
        lines += 1;
        if lines == ROWS {
            lines = 0;
            if !take(std::mem::take(&mut parcel))? {
                return Ok(());
            }
        }
    }
    take(parcel)?;
    Ok(())
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
