//! The TLS settings of an address take effect, in every spelling: against a server without TLS, and one with it.
#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Command,
    str::FromStr as _,
    thread,
    time::Duration,
};

use shop_runtime::config::DatabaseUrl;
use shop_testing::{Private, servers::Durability};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};

/// Connects as the services do, with the driver's options for the address.
async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    shop_runtime::install_crypto();
    let url: DatabaseUrl = url.parse().unwrap();
    PgConnectOptions::from_str(url.expose())?.connect().await
}

/// Whether the session at `url` is encrypted; `None` if there is none.
async fn is_encrypted(url: &str) -> Option<bool> {
    let mut connection = connect(url).await.ok()?;
    let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let encrypted = sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    Some(encrypted)
}

const ENCRYPTING: [&str; 8] = [
    "ssl=require",
    "ssl=true",
    "ssl=verify-full",
    "sslmode=REQUIRE",
    "sslmode=verify_ca",
    "requiressl=1",
    "sslrootcert=system",
    "ssl",
];

#[tokio::test]
async fn a_server_without_tls_is_told_nothing_when_tls_is_asked_for() {
    for query in ENCRYPTING {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let heard = thread::spawn(move || {
            let (mut client, _) = server.accept().unwrap();
            client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut request = [0; 8];
            client.read_exact(&mut request).unwrap();
            client.write_all(b"N").unwrap();
            let mut more = Vec::new();
            // A reset instead of a close is fine.
            let _ = client.read_to_end(&mut more);
            (request, more)
        });
        let refused = connect(&format!("postgresql+asyncpg://shop:s3cret@{address}/shop?{query}")).await;
        assert!(refused.is_err(), "{query}");
        let (request, more) = heard.join().unwrap();
        // SSLRequest, and nothing after it.
        assert_eq!((&request[4..], more), ([4, 0xd2, 0x16, 0x2f].as_slice(), Vec::new()), "{query}");
    }
}

/// Gives the server a self-signed certificate for `localhost`; returns the certificate.
async fn with_tls(server: &Private) -> String {
    let mut admin = connect(&server.url).await.unwrap();
    let make = "cat > /dev/null; openssl req -x509 -newkey rsa:2048 -nodes -keyout server.key -out server.crt -days 2 \
                -subj /CN=localhost -extensions usr_cert -addext subjectAltName=DNS:localhost 2> /dev/null && chmod 600 server.key";
    for statement in [
        format!("COPY (SELECT 1) TO PROGRAM '{make}'"),
        "ALTER SYSTEM SET ssl = on".to_owned(),
        "SELECT pg_reload_conf()".to_owned(),
    ] {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut admin).await.unwrap();
    }
    sqlx::query_scalar("SELECT pg_read_file('server.crt')").fetch_one(&mut admin).await.unwrap()
}

#[tokio::test]
async fn what_is_to_be_verified_is_verified() {
    let Some(server) = shop_testing::private_postgres(Durability::Fast).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (root, other) = (folder.path().join("root.pem"), folder.path().join("other.pem"));
    std::fs::write(&root, with_tls(&server).await).unwrap();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-extensions", "usr_cert", "-addext", "subjectAltName=DNS:localhost", "-keyout", "/dev/null"])
        .arg("-out")
        .arg(&other)
        .output()
        .unwrap();
    assert!(made.status.success());
    let (root, other) = (root.display(), other.display());
    let by_number = server.url.replace("postgres://", "postgresql+asyncpg://");
    let by_name = by_number.replace("127.0.0.1", "localhost");
    assert_ne!(by_name, by_number);

    // The server takes a moment to apply its new configuration.
    while is_encrypted(&format!("{by_number}?ssl=require")).await.is_none() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (what, url, outcome) in [
        ("not asked for, and there", by_number.clone(), Some(true)),
        ("off", format!("{by_number}?ssl=disable"), Some(false)),
        ("from anybody", format!("{by_number}?ssl=true"), Some(true)),
        ("the right name", format!("{by_name}?ssl=verify-full&sslrootcert={root}"), Some(true)),
        ("another name", format!("{by_number}?ssl=verify-full&sslrootcert={root}"), None),
        ("any name", format!("{by_number}?ssl=verify-ca&sslrootcert={root}"), Some(true)),
        ("another authority", format!("{by_name}?ssl=verify-full&sslrootcert={other}"), None),
        (
            "another authority, as libpq reads it",
            format!("{by_name}?sslmode=require&sslrootcert={other}"),
            None,
        ),
        ("the system's authorities", format!("{by_name}?ssl=verify-full"), None),
    ] {
        assert_eq!(is_encrypted(&url).await, outcome, "{what}");
    }
}
