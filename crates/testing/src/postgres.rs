use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::{skip::server_url, teardown::teardown};

/// An empty database for one test. Dropping this drops it, together with any open connections.
#[derive(Debug)]
pub struct TestDatabase {
    /// `postgres://…/<name>`
    pub url: String,
    name: String,
    server: String,
}

/// Creates a database on the server that `SHOP_TEST_POSTGRES_URL` names.
///
/// # Panics
/// A server is named but refuses.
pub async fn postgres() -> Option<TestDatabase> {
    let server = server_url("SHOP_TEST_POSTGRES_URL")?;
    let name = format!("test_{}", Uuid::new_v4().simple());
    if let Err(error) = execute(&server, format!("CREATE DATABASE {name}")).await {
        panic!("PostgreSQL gives the test no database: {error:#}");
    }
    let mut url = reqwest::Url::parse(&server).expect("a URL that was just used");
    url.set_path(&name);
    Some(TestDatabase { url: url.into(), name, server })
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let server = self.server.clone();
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        teardown("a test's database", async move { execute(&server, statement).await });
    }
}

async fn execute(server: &str, statement: String) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(server).await.context("SHOP_TEST_POSTGRES_URL")?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_test_database_is_gone_afterwards_even_with_a_client_connected() {
        let Some(database) = postgres().await else { return };
        let server = database.server.clone();
        let name = database.name.clone();
        let mut client = PgConnection::connect(&database.url).await.unwrap();
        sqlx::raw_sql("CREATE TABLE things (id int)").execute(&mut client).await.unwrap();
        drop(database);
        let mut connection = PgConnection::connect(&server).await.unwrap();
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE datname = $1")
            .bind(name)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(left, 0);
    }
}
