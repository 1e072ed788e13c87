//! Puts each server under the same load and prints the table.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::client::Client;
use crate::drive::{Cost, Load, Seen, Target};
use crate::percentile::percentile;
use crate::site::Site;
use crate::{Args, Kind, Result, file, outside};

/// How long the tasks of clients that hung up may take to end.
const SETTLING: Duration = Duration::from_secs(3);

const ROWS: [&str; 12] = [
    "short pages alone: requests/s",
    "p50, ms",
    "p99, ms",
    "short pages beside long ones: requests/s",
    "p50, ms",
    "p99, ms",
    "long pages: requests/s",
    "p50, ms",
    "lines coloured for clients that had gone, %",
    "wrong lineages",
    "managers left",
    "most threads",
];

struct Server {
    process: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(kind: Kind) -> Result<Server> {
        let name = kind.to_possible_value().ok_or("no such server")?;
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--serve", name.get_name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let address = line.trim().parse()?;
        Ok(Server { process, address })
    }
}

/// All rows of one server.
type Column = [f64; ROWS.len()];

pub(crate) fn run(args: &Args) -> Result<()> {
    let site = Site::open(Path::new(env!("CARGO_MANIFEST_DIR")))?;
    let mut sizes: Vec<_> =
        site.pages.iter().map(|page| (file::facts(&site, page).map_or(0, |f| f.bytes), page)).collect();
    sizes.sort_unstable_by_key(|(bytes, _)| *bytes);
    let targets = |pages: &[(u64, &crate::site::Page)], cost| -> Arc<[Target]> {
        pages.iter().map(|(_, page)| Target { path: page.href.clone(), cost }).collect()
    };
    let few = sizes.len().min(12);
    let cheap = targets(&sizes[..few], Cost::Cheap);
    let expensive = targets(&sizes[sizes.len() - few..], Cost::Expensive);
    let outside = outside::is_there();
    if !outside {
        eprintln!("no wrk: the load comes from this program, which takes more of the cores");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;

    let mut rounds: Vec<Vec<Column>> = vec![Vec::new(); Kind::value_variants().len()];
    for _ in 0..args.rounds {
        for (of, kind) in rounds.iter_mut().zip(Kind::value_variants()) {
            let server = Server::start(*kind)?;
            let clients = Clients { address: server.address, time: Duration::from_secs(args.seconds), outside };
            of.push(runtime.block_on(measure(args, &clients, &cheap, &expensive))?);
        }
    }
    println!("| | heirloom | `spawn_blocking` | and a semaphore | global rayon |\n|---|---|---|---|---|");
    for (row, name) in ROWS.iter().enumerate() {
        print!("| {name} |");
        for (columns, kind) in rounds.iter().zip(Kind::value_variants()) {
            let mut values: Vec<f64> = columns.iter().map(|column| column[row]).collect();
            values.sort_unstable_by(f64::total_cmp);
            let value = values[values.len() / 2];
            match *name {
                "wrong lineages" | "managers left" if *kind != Kind::Heirloom => print!(" – |"),
                _ if name.contains("p50") || name.contains("p99") || name.contains('%') => print!(" {value:.1} |"),
                _ => print!(" {value:.0} |"),
            }
        }
        println!();
    }
    Ok(())
}

/// Of one load; times in milliseconds.
pub(crate) struct Numbers {
    pub(crate) a_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

struct Clients {
    address: SocketAddr,
    time: Duration,
    outside: bool,
}

impl Clients {
    /// One client in ten gives up every other request.
    async fn ask(&self, targets: &Arc<[Target]>, clients: usize) -> Result<Numbers> {
        let impatient = clients.div_ceil(10);
        let patient = clients.saturating_sub(impatient).max(1);
        let (numbers, _) = tokio::join!(self.measured(targets, patient), self.seen(targets, impatient, 50, self.time));
        numbers
    }

    async fn measured(&self, targets: &Arc<[Target]>, clients: usize) -> Result<Numbers> {
        if self.outside {
            let (address, targets, time) = (self.address, targets.clone(), self.time);
            return tokio::task::spawn_blocking(move || outside::run(address, &targets, clients, time)).await?;
        }
        let seen = self.seen(targets, clients, 0, self.time).await;
        if let Some(first) = seen.failures.first() {
            return Err(format!("{} requests failed, one of them: {first}", seen.failures.len()).into());
        }
        let sorted = seen.sorted(|_| true);
        let milliseconds = |percent| percentile(&sorted, percent).as_secs_f64() * 1_000.0;
        let a_second = sorted.len() as f64 / self.time.as_secs_f64();
        Ok(Numbers { a_second, p50: milliseconds(50), p99: milliseconds(99) })
    }

    async fn seen(&self, targets: &Arc<[Target]>, clients: usize, disconnect: usize, at_most: Duration) -> Seen {
        let (address, targets) = (self.address, targets.clone());
        Load { address, targets, clients, disconnect, requests: usize::MAX, at_most }.run().await
    }
}

async fn measure(args: &Args, clients: &Clients, cheap: &Arc<[Target]>, expensive: &Arc<[Target]>) -> Result<Column> {
    let address = clients.address;
    let warm = Duration::from_millis(500);
    tokio::join!(clients.seen(cheap, 1, 0, warm), clients.seen(expensive, 1, 0, warm));

    let most = Arc::new(AtomicUsize::new(0));
    let watching = tokio::spawn(watch(address, most.clone()));
    let alone = clients.ask(cheap, args.cheap).await?;
    let (beside, long) = tokio::join!(clients.ask(cheap, args.cheap), clients.ask(expensive, args.expensive));
    let (beside, long) = (beside?, long?);
    watching.abort();

    let began = Instant::now();
    let mut stats = stats(&mut Client::new(address)).await?;
    while stats[4] != 0 && began.elapsed() < SETTLING {
        tokio::time::sleep(Duration::from_millis(20)).await;
        stats = self::stats(&mut Client::new(address)).await?;
    }
    let for_gone = 100.0 * stats[2] as f64 / stats[1].max(1) as f64;
    let threads = most.load(Relaxed) as f64;
    let (wrong, left) = (stats[3] as f64, stats[4] as f64);
    let (a, b) = (alone, beside);
    Ok([a.a_second, a.p50, a.p99, b.a_second, b.p50, b.p99, long.a_second, long.p50, for_gone, wrong, left, threads])
}

/// Keeps the most threads that the server had.
async fn watch(address: SocketAddr, most: Arc<AtomicUsize>) {
    let mut client = Client::new(address);
    loop {
        if let Ok(stats) = stats(&mut client).await {
            most.fetch_max(stats[0], Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn stats(client: &mut Client) -> Result<[usize; 5]> {
    let answer = client.get("/stats.txt").await?;
    let numbers: Vec<usize> =
        String::from_utf8(answer.body)?.split(' ').map(str::parse).collect::<std::result::Result<_, _>>()?;
    numbers.try_into().map_err(|_| "five numbers".into())
}
