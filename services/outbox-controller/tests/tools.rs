//! The operator's tools: the real binary, with the database's variables and no other.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::process::Stdio;

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait as _;
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use serde_json::{Value, json};
use shop_outbox::NewMessage;
use shop_runtime::database::{self, Database};
use shop_testing::TestDatabase;
use uuid::Uuid;

struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        shop_outbox::migration::migrations()
    }
}

/// An outbox in a schema of its own: row 1 is sent, row 2 dead, rows 3 and 4 pending behind it, row 5 dead.
struct Outbox {
    url: String,
    database: Database,
    _guards: (Option<TestDatabase>, Option<tempfile::TempDir>),
}

impl Outbox {
    async fn postgres() -> Option<Self> {
        let database = shop_testing::postgres().await?;
        Some(Self::new(database.url.clone(), (Some(database), None)).await)
    }

    async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("orders.db").display());
        Self::new(url, (None, Some(folder))).await
    }

    async fn new(url: String, guards: (Option<TestDatabase>, Option<tempfile::TempDir>)) -> Self {
        let database = database::connect(&url.parse().unwrap(), "orders").await.unwrap();
        database::migrate::<Migrator>(&database).await.unwrap();
        for (id, order, version, event) in [
            (1, "anna", 1, "created"),
            (2, "boris", 1, "created"),
            (3, "boris", 2, "paid"),
            (4, "boris", 3, "shipped"),
            (5, "vera", 1, "created"),
        ] {
            shop_outbox::append(&database, &message(id, order, version, event)).await.unwrap();
        }
        for change in [
            "status = 'sent', sent_at = created_at WHERE id = 1",
            "status = 'dead', attempts = 10, last_error = 'returned: 312 NO_ROUTE' WHERE id = 2",
            "status = 'dead', attempts = 1, last_error = 'the broker refused it (nack)' WHERE id = 5",
        ] {
            database.execute_unprepared(&format!("UPDATE outbox_messages SET {change}")).await.unwrap();
        }
        Self { url, database, _guards: guards }
    }

    async fn tool(&self, arguments: &[&str]) -> Outcome {
        run(arguments, &[("OUTBOX_DATABASE_URL", self.url.as_str()), ("OUTBOX_SCHEMA", "orders")]).await
    }

    /// `status × attempts` of each row that is there, by id.
    async fn rows(&self) -> Vec<String> {
        let rows = self.tool(&["list", "--json", "--dead"]).await.lines();
        let pending = self.tool(&["list", "--json", "--pending"]).await.lines();
        let sent = self.tool(&["list", "--json", "--sent"]).await.lines();
        let mut rows: Vec<Value> = [rows, pending, sent].concat();
        rows.sort_by_key(|row| row["id"].as_i64());
        let show = |row: &Value| {
            format!("{} {} × {}", row["id"], row["status"].as_str().unwrap_or_default(), row["attempts"])
        };
        rows.iter().map(show).collect()
    }
}

fn message(id: u128, order: &str, version: i64, event: &str) -> NewMessage {
    NewMessage {
        id: message_id(id),
        aggregate_type: "order".to_owned(),
        aggregate_id: order.to_owned(),
        aggregate_version: version,
        event_type: format!("order_{event}"),
        routing_key: format!("order.{event}"),
        payload: "{\"total\": 2500.00,\n \"currency\": \"RUB\"}".to_owned(),
        headers: [("tenant".to_owned(), "north".into())].into(),
        created_at: DateTime::<Utc>::from_timestamp(1_700_000_000, 0).unwrap(),
    }
}

fn message_id(id: u128) -> Uuid {
    Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0000 + id)
}

#[derive(Debug)]
struct Outcome {
    succeeded: bool,
    output: String,
    remarks: String,
}

impl Outcome {
    fn succeeded(self) -> Self {
        assert!(self.succeeded, "{self:?}");
        self
    }

    fn failed(self) -> Self {
        assert!(!self.succeeded, "{self:?}");
        self
    }

    /// Each line as JSON.
    fn lines(self) -> Vec<Value> {
        self.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_outbox-controller"))
        .args(arguments)
        .env_clear()
        .env("COLUMNS", "110")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    Outcome {
        succeeded: output.status.success(),
        output: String::from_utf8(output.stdout).unwrap(),
        remarks: String::from_utf8(output.stderr).unwrap(),
    }
}

#[tokio::test]
async fn help_names_the_tools() {
    let help = run(&["--help"], &[]).await.succeeded().output;
    let commands = help.split("\n\n").find(|part| part.starts_with("Commands:")).unwrap();
    insta::assert_snapshot!(commands, @"
    Commands:
      migrate      Migrate the database and exit
      healthcheck  Ask the running service whether it is ready, and exit 0 or 1: for containers without a shell
      openapi      Print the API as OpenAPI JSON and exit; needs no configuration
      list         List rows, oldest first: by default the dead ones, which hold back their aggregates
      show         Show a row in full: content, headers, last error, times
      redrive      Make dead rows pending again and reset their attempts; what they held back follows in order
      discard      Delete dead rows for good and print each in full, as JSON; what they held back goes on without
                   them
      stats        Show how many rows are pending, dead and kept, and who publishes
      crd          Print the definition of the Kubernetes objects that describe publishers, as YAML, and exit
    ");
}

#[tokio::test]
async fn a_tools_help_names_the_databases_variables_alone() {
    insta::assert_snapshot!(run(&["list", "--help"], &[]).await.succeeded().output, @"
    List rows, oldest first: by default the dead ones, which hold back their aggregates

    Usage: outbox-controller list [OPTIONS] --database-url <DATABASE_URL>

    Options:
          --dead                         Dead rows; the default
          --pending                      Rows that wait to be published
          --sent                         Rows that were sent and are still kept
          --aggregate <TYPE/ID>          Rows of one aggregate only, such as order/0198c0de-…
          --after <ID>                   Only rows with a higher id, such as the last one of the previous page
                                         [default: 0]
          --limit <LIMIT>                The maximum number of rows, 1 to 1000 [default: 100]
          --json                         Print one JSON object per line, for scripts
          --database-url <DATABASE_URL>  The outbox's database [env: OUTBOX_DATABASE_URL]
          --schema <SCHEMA>              The outbox's schema (PostgreSQL) [env: OUTBOX_SCHEMA=] [default: orders]
      -h, --help                         Print help

    Every variable NAME can also be given as NAME_FILE, the path of a file with the value, such as a mounted
    Secret. An empty variable is an unset one.
    ");
    insta::assert_snapshot!(run(&["redrive", "--help"], &[]).await.succeeded().output, @"
    Make dead rows pending again and reset their attempts; what they held back follows in order

    Usage: outbox-controller redrive [OPTIONS] --database-url <DATABASE_URL> [ROW]...

    Arguments:
      [ROW]...  The rows' ids or message_ids

    Options:
          --all                          All dead rows
          --json                         Print one JSON object per line, for scripts
          --database-url <DATABASE_URL>  The outbox's database [env: OUTBOX_DATABASE_URL]
          --schema <SCHEMA>              The outbox's schema (PostgreSQL) [env: OUTBOX_SCHEMA=] [default: orders]
      -h, --help                         Print help

    Every variable NAME can also be given as NAME_FILE, the path of a file with the value, such as a mounted
    Secret. An empty variable is an unset one.
    ");
}

#[tokio::test]
async fn what_is_missing_or_malformed_is_named_in_one_line() {
    let remarks = async |arguments: &[&str], url: Option<&str>| {
        let environment = url.map(|url| ("OUTBOX_DATABASE_URL", url));
        run(arguments, environment.as_slice()).await.failed().remarks
    };
    insta::assert_snapshot!(
        remarks(&["list"], None).await,
        @"outbox_publisher: OUTBOX_DATABASE_URL must be set"
    );
    insta::assert_snapshot!(
        remarks(&["stats"], Some("")).await,
        @"outbox_publisher: OUTBOX_DATABASE_URL must be set"
    );
    let url = "postgresql://user:s3cret@127.0.0.1:1/shop";
    insta::assert_snapshot!(remarks(&["redrive"], Some(url)).await, @"outbox_publisher: <ROW>... must be set");
    insta::assert_snapshot!(
        remarks(&["show", "order 2"], Some(url)).await,
        @"outbox_publisher: <ROW>: a row is named by its id, a number, or by its message_id, a UUID"
    );
    insta::assert_snapshot!(
        remarks(&["list", "--aggregate", "boris"], Some(url)).await,
        @"outbox_publisher: --aggregate <TYPE/ID>: an aggregate is its type, a slash and its id"
    );
    remarks(&["list", "--dead", "--sent"], Some(url)).await;
    let away = remarks(&["list"], Some(url)).await;
    assert!(away.contains("postgres://127.0.0.1:1/shop") && !away.contains("s3cret"), "{away}");
}

#[tokio::test]
async fn the_commands_of_every_service_work_as_before() {
    let refused = run(&["openapi"], &[]).await.failed();
    assert_eq!(refused.remarks, "outbox_publisher: there is no API to describe\n");
    let refused = run(&["healthcheck"], &[]).await.failed();
    assert_eq!(
        refused.remarks,
        "outbox_publisher: OUTBOX_DATABASE_URL and OUTBOX_RABBITMQ_URL must be set\n"
    );
}

#[tokio::test]
async fn rows_are_listed_in_a_table_or_as_json() {
    let Some(outbox) = Outbox::postgres().await else { return };
    insta::assert_snapshot!(outbox.tool(&["list", "--dead"]).await.succeeded().output, @"
    ID  AGGREGATE    VERSION  EVENT          CREATED               TRIES  LAST ERROR
    2   order/boris  1        order_created  2023-11-14 22:13:20Z  10     returned: 312 NO_ROUTE
    5   order/vera   1        order_created  2023-11-14 22:13:20Z  1      the broker refused it (nack)
    ");
    insta::assert_snapshot!(outbox.tool(&["list", "--sent"]).await.succeeded().output, @"
    ID  AGGREGATE   VERSION  EVENT          CREATED               TRIES  SENT
    1   order/anna  1        order_created  2023-11-14 22:13:20Z  0      2023-11-14 22:13:20Z
    ");

    let page = outbox.tool(&["list", "--pending", "--limit", "1", "--json"]).await.succeeded();
    assert_eq!(page.remarks, "more may follow: --after 3\n");
    assert_eq!(page.lines()[0]["id"], 3);
    let page = outbox.tool(&["list", "--pending", "--after", "3", "--json"]).await.succeeded().lines();
    assert_eq!(page.iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>(), [4]);

    let of_one = outbox.tool(&["list", "--aggregate", "order/vera", "--json"]).await.succeeded().lines();
    assert_eq!(of_one.iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>(), [5]);
    let none = outbox.tool(&["list", "--aggregate", "order/nobody"]).await.succeeded();
    assert_eq!((none.output.as_str(), none.remarks.as_str()), ("", "no row is dead there\n"));
}

#[tokio::test]
async fn a_row_is_shown_whole() {
    let Some(outbox) = Outbox::postgres().await else { return };
    insta::assert_snapshot!(outbox.tool(&["show", "2"]).await.succeeded().output, @r#"
    id           2
    message_id   0198c0de-0000-7000-8000-000000000002
    status       dead
    aggregate    order/boris
    version      1
    event        order_created
    routing key  order.created
    created      2023-11-14 22:13:20Z
    tries        10
    last error   returned: 312 NO_ROUTE
    headers      {"tenant":"north"}
    payload      {"total": 2500.00,  "currency": "RUB"}
    "#);
    let by_message = outbox.tool(&["show", &message_id(2).to_string(), "--json"]).await.succeeded();
    assert_eq!(
        by_message.output,
        concat!(
            r#"{"id":2,"message_id":"0198c0de-0000-7000-8000-000000000002","status":"dead","#,
            r#""aggregate_type":"order","aggregate_id":"boris","aggregate_version":1,"#,
            r#""event_type":"order_created","routing_key":"order.created","attempts":10,"#,
            r#""available_at":null,"created_at":"2023-11-14T22:13:20Z","sent_at":null,"#,
            r#""last_error":"returned: 312 NO_ROUTE","headers":{"tenant":"north"},"#,
            r#""payload":{"total": 2500.00,  "currency": "RUB"}}"#,
            "\n"
        )
    );
    let unknown = outbox.tool(&["show", "4711"]).await.failed();
    assert_eq!((unknown.output.as_str(), unknown.remarks.as_str()), ("", "4711: no such row\n"));
}

#[tokio::test]
async fn named_rows_are_redriven_and_what_is_not_dead_is_named() {
    let Some(outbox) = Outbox::postgres().await else { return };
    let named = ["redrive", "2", "1", "4711", &message_id(3).to_string()];
    let redriven = outbox.tool(&named).await.failed();
    insta::assert_snapshot!(redriven.output, @"
    ID  AGGREGATE    VERSION  EVENT          CREATED               TRIES  LAST ERROR
    2   order/boris  1        order_created  2023-11-14 22:13:20Z  0      returned: 312 NO_ROUTE
    ");
    insta::assert_snapshot!(redriven.remarks, @"
    1 redriven
    1: sent, not dead
    4711: no such row
    0198c0de-0000-7000-8000-000000000003: pending, not dead
    ");
    assert_eq!(
        outbox.rows().await,
        ["1 sent × 0", "2 pending × 0", "3 pending × 0", "4 pending × 0", "5 dead × 1"]
    );
    let again = outbox.tool(&["redrive", "2"]).await.failed();
    assert_eq!(again.remarks, "0 redriven\n2: pending, not dead\n");
}

#[tokio::test]
async fn all_dead_rows_are_redriven_at_once() {
    let Some(outbox) = Outbox::postgres().await else { return };
    let redriven = outbox.tool(&["redrive", "--all", "--json"]).await.succeeded();
    assert_eq!(redriven.remarks, "2 redriven\n");
    let redriven = redriven.lines();
    assert_eq!(redriven.iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>(), [2, 5]);
    assert_eq!(redriven[0]["last_error"], "returned: 312 NO_ROUTE", "kept until it is sent");
    assert_eq!(outbox.tool(&["redrive", "--all"]).await.succeeded().remarks, "0 redriven\n");
}

#[tokio::test]
async fn discarded_rows_are_printed_whole() {
    let Some(outbox) = Outbox::postgres().await else { return };
    let discarded = outbox.tool(&["discard", "5", &message_id(2).to_string(), "1"]).await.failed();
    assert_eq!(discarded.remarks, "2 discarded\n1: sent, not dead\n");
    assert!(
        discarded.output.contains(r#""payload":{"total": 2500.00,  "currency": "RUB"}"#),
        "{discarded:?}"
    );
    let discarded = discarded.lines();
    assert_eq!(
        discarded.iter().map(|row| row["aggregate_id"].clone()).collect::<Vec<_>>(),
        ["boris", "vera"]
    );
    assert_eq!(discarded[0]["headers"]["tenant"], "north");
    assert_eq!(outbox.rows().await, ["1 sent × 0", "3 pending × 0", "4 pending × 0"]);
}

#[tokio::test]
async fn a_row_that_cannot_be_printed_is_not_discarded() {
    let Some(outbox) = Outbox::postgres().await else { return };
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let status = tokio::process::Command::new(env!("CARGO_BIN_EXE_outbox-controller"))
        .args(["discard", "2"])
        .env_clear()
        .env("OUTBOX_DATABASE_URL", &outbox.url)
        .stdout(full)
        .stderr(Stdio::null())
        .status();
    assert!(!status.await.unwrap().success());
    assert!(outbox.rows().await.contains(&"2 dead × 10".to_owned()));
}

#[tokio::test]
async fn stats_tell_what_waits_and_who_publishes() {
    let Some(outbox) = Outbox::postgres().await else { return };
    let stats = outbox.tool(&["stats", "--json"]).await.succeeded().lines().remove(0);
    let age = stats["oldest_pending_seconds"].as_f64().unwrap();
    assert!(age > 1e6, "{age}");
    assert_eq!(
        stats,
        json!({"pending": 2, "dead": 2, "oldest_pending_seconds": age, "sent": 1, "leader": null})
    );

    outbox
        .database
        .execute_unprepared(
            "INSERT INTO outbox_publishers (name, epoch, holder, lease_expires_at)
             VALUES ('publisher', 7, 'outbox_publisher/one', '2023-11-14T22:13:20Z')",
        )
        .await
        .unwrap();
    let stats = outbox.tool(&["stats"]).await.succeeded().output;
    let steady: Vec<&str> = stats.lines().filter(|line| !line.starts_with("oldest")).collect();
    insta::assert_snapshot!(steady.join("\n"), @"
    pending         2
    dead            2
    sent, kept      1
    epoch           7
    holder          outbox_publisher/one
    lease           ended 2023-11-14 22:13:20Z: nobody publishes
    ");
    let extended = "UPDATE outbox_publishers SET lease_expires_at = now() + interval '1 hour'";
    outbox.database.execute_unprepared(extended).await.unwrap();
    let stats = outbox.tool(&["stats", "--json"]).await.succeeded().lines().remove(0);
    assert_eq!(stats["leader"]["leading"], true);
}

#[tokio::test]
async fn a_tool_creates_nothing() {
    let Some(outbox) = Outbox::postgres().await else { return };
    let mistyped = [("OUTBOX_DATABASE_URL", outbox.url.as_str()), ("OUTBOX_SCHEMA", "order")];
    let refused = run(&["list"], &mistyped).await.failed();
    assert!(refused.remarks.contains("are OUTBOX_DATABASE_URL and OUTBOX_SCHEMA right?"), "{refused:?}");
    let schemas = "CREATE SCHEMA \"order\"";
    outbox.database.execute_unprepared(schemas).await.expect("the tool has not made it");

    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("nothing.db").display());
    run(&["list"], &[("OUTBOX_DATABASE_URL", &url)]).await.failed();
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn the_embedded_database_is_operated_in_the_same_way() {
    let outbox = Outbox::sqlite().await;
    assert_eq!(outbox.tool(&["list", "--json"]).await.succeeded().lines().len(), 2);
    assert_eq!(outbox.tool(&["redrive", "2"]).await.succeeded().remarks, "1 redriven\n");
    assert_eq!(outbox.tool(&["discard", "5"]).await.succeeded().lines()[0]["aggregate_id"], "vera");
    assert_eq!(outbox.rows().await, ["1 sent × 0", "2 pending × 0", "3 pending × 0", "4 pending × 0"]);
    assert_eq!(outbox.tool(&["stats", "--json"]).await.succeeded().lines()[0]["dead"], 0);
}
