//! raw
use sqlx::{AnyPool, AssertSqlSafe, Executor};
use farrier_test_harness::engines::*;
use std::time::Instant;
use std::fmt::Write;

fn values(rows: usize, columns: usize) -> String {
    let mut s = String::new();
    for r in 0..rows { if r>0 {s.push(',');} s.push('('); for c in 0..columns { if c>0 {s.push(',');} let _ = write!(s, "${}", r*columns+c+1); } s.push(')'); }
    s
}
const CLIENTS: i64 = 400; const UPDATES: i64 = 500;

macro_rules! raw { ($pool:expr, $label:expr, $chunk:expr, $round:expr) => {{
    let chunk: usize = $chunk;
    let sql = format!("INSERT INTO compliance_states (client_id, software_update_id, state, changed_at) VALUES {} ON CONFLICT (client_id, software_update_id) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at", values(chunk, 4));
    let start = Instant::now();
    let mut tx = $pool.begin().await.unwrap();
    let mut rows = Vec::new();
    for c in 1..=CLIENTS { for u in 1..=UPDATES { rows.push((c, u, 1 + (c + u + $round) % 3, $round)); } }
    for part in rows.chunks_exact(chunk) {
        let mut q = sqlx::query(AssertSqlSafe(sql.clone()));
        for r in part { q = q.bind(r.0).bind(r.1).bind(r.2).bind(r.3); }
        tx.execute(q).await.unwrap();
    }
    tx.commit().await.unwrap();
    let n = rows.len() / chunk * chunk;
    println!("{} chunk {} round {}: {:.0}/s", $label, chunk, $round, n as f64 / start.elapsed().as_secs_f64());
}}}

macro_rules! text { ($pool:expr, $label:expr, $chunk:expr, $round:expr) => {{
    let chunk: usize = $chunk;
    let start = Instant::now(); let cpu0 = cpu();
    let mut tx = $pool.begin().await.unwrap();
    let mut rows = Vec::new();
    for c in 1..=CLIENTS { for u in 1..=UPDATES { rows.push((c, u, 1 + (c + u + $round) % 3, $round)); } }
    for part in rows.chunks_exact(chunk) {
        let mut sql = String::from("INSERT INTO compliance_states (client_id, software_update_id, state, changed_at) VALUES ");
        for (i, r) in part.iter().enumerate() { if i > 0 { sql.push(','); } let _ = write!(sql, "({},{},{},{})", r.0, r.1, r.2, r.3); }
        sql.push_str(" ON CONFLICT (client_id, software_update_id) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at");
        tx.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
    }
    tx.commit().await.unwrap();
    let n = rows.len() / chunk * chunk;
    println!("{} text chunk {} round {}: {:.0}/s  cpu {:.0}/s", $label, chunk, $round, n as f64 / start.elapsed().as_secs_f64(), n as f64 / (cpu()-cpu0));
}}}
fn cpu() -> f64 { let t = std::fs::read_to_string("/proc/self/stat").unwrap(); let f: Vec<&str> = t.rsplit_once(')').unwrap().1.split_whitespace().collect(); (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0 }

async fn plant(pool: &AnyPool) {
    pool.execute("INSERT INTO suites (id, name, distribution, release, mirror, architectures, classification, follow) VALUES (1,'s','debian','bookworm','m','amd64',0,0)").await.unwrap();
    for u in 1..=UPDATES { sqlx::query("INSERT INTO software_updates (id, update_id, suite_id, name, source, version, summary, classification, priority, content, first_seen_at, changed_at) VALUES ($1,$2,1,$3,'s','1','',0,0,$2,0,0)").bind(u).bind(u.to_be_bytes().to_vec()).bind(format!("u{u}")).execute(pool).await.unwrap(); }
    for c in 1..=CLIENTS { sqlx::query("INSERT INTO clients (id, client_id, hostname, enrolled_at, last_contact_at) VALUES ($1,$2,'h',0,0)").bind(c).bind(c.to_be_bytes().to_vec()).execute(pool).await.unwrap(); }
}

fn main() {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        for chunk in [32, 250, 1000, 5000] {
            let dir = tempfile::tempdir().unwrap();
            let url = format!("sqlite://{}/s.db", dir.path().display());
            let db = farrier::database::Database::open(&url).await.unwrap();
            sqlx::any::install_default_drivers();
            let pool = AnyPool::connect(&url).await.unwrap();
            pool.execute("PRAGMA synchronous=FULL").await.unwrap();
            plant(&pool).await;
            drop(db);
            raw!(pool, "sqlite any", chunk, 0); raw!(pool, "sqlite any", chunk, 1); raw!(pool, "sqlite any", chunk, 2);
            let native = sqlx::SqlitePool::connect(&url).await.unwrap();
            raw!(native, "sqlite native", chunk, 3); text!(native, "sqlite native", chunk, 4);text!(native, "sqlite native", chunk, 5);text!(native, "sqlite native", chunk, 6);
        }
        let server = Postgres::start(Durability::Full).unwrap();
        for chunk in [32, 250, 1000, 5000] {
            let url = server.create_database().unwrap();
            let db = farrier::database::Database::open(&url).await.unwrap();
            let pool = AnyPool::connect(&url).await.unwrap();
            plant(&pool).await;
            drop(db);
            raw!(pool, "pg any", chunk, 0); raw!(pool, "pg any", chunk, 1); raw!(pool, "pg any", chunk, 2);
            let native = sqlx::PgPool::connect(&url).await.unwrap();
            raw!(native, "pg native", chunk, 3); text!(native, "pg native", chunk, 4);text!(native, "pg native", chunk, 5);
        }
    });
}
