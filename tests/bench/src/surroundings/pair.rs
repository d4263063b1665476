//! Two PostgreSQL servers, one a streaming standby of the other, and an address that leads to the one that accepts writes.
//!
//! Replication is synchronous: an acknowledged commit is on both, so no failover may lose it. Each server has its own small
//! disk, if one can be mounted.

use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use shop_testing::{
    Private, Proxy, SmallDisk, private_postgres_like,
    servers::{Durability, Postgres},
    small_disk,
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::time::sleep;

/// The role with which the services log in.
pub(crate) const ROLE: &str = "shop_app";
/// In megabytes: enough for WAL and data of a long run, and quick to fill.
const DISK: u32 = 400;
const PATIENCE: Duration = Duration::from_secs(30);

/// Leaves no byte of it free.
fn fill(disk: &SmallDisk) -> anyhow::Result<()> {
    let mut file = File::create(ballast(disk))?;
    for size in [1 << 20, 4096, 1] {
        let chunk = vec![0; size];
        while file.write_all(&chunk).is_ok() {}
    }
    Ok(())
}

fn ballast(disk: &SmallDisk) -> PathBuf {
    disk.path().join("ballast")
}

/// A server and its disk, which outlives it. There is no disk if none can be mounted.
struct Member {
    server: Private,
    disk: Option<SmallDisk>,
}

pub(crate) struct Pair {
    primary: Member,
    standby: Member,
    /// Leads to the one that accepts writes. Open connections stay where they are.
    pub(crate) switch: Proxy,
}

impl Pair {
    /// An empty pair with the role [`ROLE`], which may create schemas and logs in with `password`.
    pub(crate) async fn open(password: &str) -> anyhow::Result<Self> {
        let (one, other) = (small_disk(DISK), small_disk(DISK));
        let server =
            private_postgres_like(like(one.as_ref(), None)).await.context("PostgreSQL is not installed")?;
        let primary = Member { server, disk: one };
        let mut connection = connect(&primary.server).await?;
        let hba = "COPY (SELECT unnest(ARRAY['host all shop all trust', 'host replication shop all trust',
                   'host all all all scram-sha-256'])) TO ";
        let file: String = sqlx::query_scalar("SELECT setting FROM pg_settings WHERE name = 'hba_file'")
            .fetch_one(&mut connection)
            .await?;
        for statement in [
            format!("{hba} '{file}'"),
            format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{password}'"),
            format!("GRANT CREATE ON DATABASE postgres TO {ROLE}"),
            // Connections through the pooler use this role, which creates the outbox.
            format!("GRANT shop TO {ROLE}"),
            // The standby's name. It is copied with everything else: whichever server accepts writes waits for the other, even while there is none.
            "ALTER SYSTEM SET synchronous_standby_names = 'walreceiver'".to_owned(),
            "SELECT pg_reload_conf()".to_owned(),
        ] {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
        }
        let standby = Member { server: standby_of(&primary.server, other.as_ref()).await?, disk: other };
        let switch = Proxy::to(&primary.server.url).await;
        Ok(Self { primary, standby, switch })
    }

    /// A connection to the server that accepts writes, as a superuser.
    pub(crate) async fn connect(&self) -> anyhow::Result<PgConnection> {
        connect(&self.primary.server).await
    }

    pub(crate) fn primary(&self) -> &Private {
        &self.primary.server
    }

    pub(crate) fn has_small_disks(&self) -> bool {
        self.primary.disk.is_some() && self.standby.disk.is_some()
    }

    /// Fills the disk of the server that accepts writes, and frees it after `lasts`. The server may crash from it.
    pub(crate) async fn fill_the_disk(&self, lasts: Duration) -> anyhow::Result<()> {
        let disk = self.primary.disk.as_ref().context("no small disk")?;
        tokio::task::block_in_place(|| fill(disk))?;
        sleep(lasts).await;
        Ok(fs::remove_file(ballast(disk))?)
    }

    /// Starts the server that accepts writes again if it has ended by itself.
    pub(crate) async fn revive(&self) {
        if !self.primary.server.is_alive().await {
            self.primary.server.kill9().await;
            self.primary.server.start().await;
        }
    }

    /// The server that accepts writes is lost, and its standby takes its place.
    pub(crate) async fn fail_over(&mut self) -> anyhow::Result<()> {
        self.primary.server.kill9().await;
        self.promote().await?;
        self.renew_standby().await
    }

    /// The server that accepts writes is demoted, and its standby takes its place. The old one keeps answering its open
    /// connections for `lasts`.
    pub(crate) async fn switch_over(&mut self, lasts: Duration) -> anyhow::Result<()> {
        let mut old = self.connect().await?;
        for statement in ["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"] {
            sqlx::raw_sql(statement).execute(&mut old).await?;
        }
        self.until_writers_are_done(&mut old).await?;
        self.promote().await?;
        let mut new = self.connect().await?;
        for statement in ["ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"] {
            sqlx::raw_sql(statement).execute(&mut new).await?;
        }
        sleep(lasts).await;
        // Late writes to the old one, if any, were never acknowledged: no standby has confirmed them.
        self.renew_standby().await
    }

    /// Waits until all running write transactions have ended, and the standby has them.
    async fn until_writers_are_done(&self, old: &mut PgConnection) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let busy = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid())
                        OR EXISTS (SELECT FROM pg_stat_replication WHERE replay_lsn IS DISTINCT FROM pg_current_wal_lsn())";
        while sqlx::query_scalar::<_, bool>(busy).fetch_one(&mut *old).await? {
            ensure!(Instant::now() < deadline, "the old server's transactions do not end");
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    async fn promote(&mut self) -> anyhow::Result<()> {
        std::mem::swap(&mut self.primary, &mut self.standby);
        let mut connection = self.connect().await?;
        let promoted: bool = sqlx::query_scalar("SELECT pg_promote()").fetch_one(&mut connection).await?;
        ensure!(promoted, "the standby does not become a primary");
        self.switch.switch_to(&self.primary.server.url);
        Ok(())
    }

    /// Removes the old server and creates a standby in its place: until that is there, no commit is acknowledged.
    async fn renew_standby(&mut self) -> anyhow::Result<()> {
        self.standby.server.kill9().await;
        // Its disk has no room for two.
        for entry in self.standby.disk.iter().flat_map(|disk| fs::read_dir(disk.path())).flatten() {
            fs::remove_dir_all(entry?.path())?;
        }
        self.standby.server = standby_of(&self.primary.server, self.standby.disk.as_ref()).await?;
        Ok(())
    }
}

fn like(disk: Option<&SmallDisk>, standby_of: Option<String>) -> Postgres {
    Postgres {
        folder: disk.map(|disk| disk.path().to_owned()),
        standby_of,
        settings: ["max_wal_size=96MB", "min_wal_size=32MB", "wal_sender_timeout=10s"]
            .map(str::to_owned)
            .to_vec(),
        ..Postgres::new(Durability::Durable)
    }
}

async fn standby_of(primary: &Private, disk: Option<&SmallDisk>) -> anyhow::Result<Private> {
    private_postgres_like(like(disk, Some(primary.url.clone()))).await.context("no standby")
}

async fn connect(server: &Private) -> anyhow::Result<PgConnection> {
    Ok(PgConnection::connect(&server.url).await?)
}
