use super::*;

fn url(text: &str) -> DatabaseUrl {
    text.parse().unwrap()
}

/// What the driver gets for these parameters.
fn told(query: &str) -> String {
    let url = url(&format!("postgresql+asyncpg://shop:s3cret@db/shop?{query}"));
    url.expose().strip_prefix("postgres://shop:s3cret@db/shop").unwrap().to_owned()
}

fn refusal(query: &str) -> String {
    let text = format!("postgresql+asyncpg://shop:s3cret@db/shop?{query}");
    let Err(error) = text.parse::<DatabaseUrl>() else { panic!("{query} is accepted") };
    error.to_string()
}

#[test]
fn the_specifications_urls_are_understood() {
    let url: DatabaseUrl = "postgresql+asyncpg://shop_user:change_me@db:5432/shop_db".parse().unwrap();
    assert_eq!(url.expose(), "postgres://shop_user:change_me@db:5432/shop_db");
    assert_eq!(format!("{url:?}"), "postgres://db:5432/shop_db");
    assert_eq!(url.place(), "db:5432/shop_db");
    assert_eq!(url.target_session(), TargetSession::ReadWrite);
    assert_eq!("postgres://user:secret@db".parse::<DatabaseUrl>().unwrap().place(), "db:5432");
    assert_eq!("sqlite:data/orders.db?mode=rw".parse::<DatabaseUrl>().unwrap().place(), "data/orders.db");
    assert!("mysql://db/shop".parse::<DatabaseUrl>().is_err());
    assert!("sqlite:data.db".parse::<DatabaseUrl>().unwrap().is_sqlite());
    assert!("sqlite:data.db?key=s3cret".parse::<DatabaseUrl>().is_err());
}

#[test]
fn every_usual_spelling_of_tls_reaches_the_driver() {
    for (query, mode) in [
        ("ssl=require", "require"),
        ("ssl=true", "require"),
        ("ssl=1", "require"),
        ("ssl=on", "require"),
        ("ssl", "require"),
        ("requiressl=1", "require"),
        ("ssl=verify-full", "verify-full"),
        ("ssl=verify_ca", "verify-ca"),
        ("ssl=disable", "disable"),
        ("ssl=false", "disable"),
        ("ssl=prefer", "prefer"),
        ("ssl=allow", "prefer"),
        ("sslmode=REQUIRE", "require"),
        ("sslmode=Verify_Full", "verify-full"),
        ("SSLMode=require", "require"),
        ("ssl-mode=require", "require"),
        ("sslmode=allow", "prefer"),
        ("ssl=true&sslmode=verify-full", "verify-full"),
        ("sslmode=verify-full&ssl=true", "verify-full"),
        ("ssl=require&sslmode=require", "require"),
        ("sslrootcert=system", "verify-full"),
    ] {
        assert_eq!(told(query), format!("?sslmode={mode}"), "{query}");
    }
    // As in libpq; the driver would encrypt without verifying.
    assert_eq!(told("sslmode=require&sslrootcert=/ca.pem"), "?sslmode=verify-ca&sslrootcert=%2Fca.pem");
    assert_eq!(told("channel_binding=prefer&gssencmode=disable&sslnegotiation=postgres"), "");
    assert_eq!(
        told("sslmode=verify-full&sslrootcert=/ca&sslcert=/c&sslkey=/k"),
        "?sslmode=verify-full&sslrootcert=%2Fca&sslcert=%2Fc&sslkey=%2Fk"
    );
}

#[test]
fn security_parameters_that_are_not_supported_are_refused_and_named() {
    for query in [
        "channel_binding=require",
        "gssencmode=require",
        "sslnegotiation=direct",
        "ssl_min_protocol_version=TLSv1.3",
        "sslcrl=/crl",
        "sslcrldir=/crl",
        "sslpassword=s3cret",
        "sslcompression=1",
        "sslsni=0",
        "sslcertmode=require",
        "require_auth=scram-sha-256",
        "requirepeer=postgres",
        "krbsrvname=postgres",
        "passfile=/pgpass",
        "oauth_issuer=https://example.com",
        "tls=true",
        "tlsVersion=1.3",
        "sslaccept=strict",
        "sslfactory=org.postgresql.ssl.NonValidatingFactory",
        "trustServerCertificate=true",
        "sslmode=verify",
        "ssl=maybe",
        "requiressl=2",
    ] {
        let told = refusal(query);
        let name = query.split('=').next().unwrap();
        assert!(told.starts_with(&format!("`{name}`: ")) && !told.contains("s3cret"), "{query}: {told}");
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    for query in [
        "ssl=disable&sslmode=require",
        "sslmode=require&ssl=false",
        "ssl=verify-full&sslmode=verify-ca",
        "requiressl=1&sslmode=disable",
        "sslmode=prefer&ssl=require",
        "sslmode=require&sslmode=require",
        "sslmode=require&ssl-mode=disable",
        "sslrootcert=/ca",
        "sslmode=prefer&sslrootcert=/ca",
        "sslmode=require&sslrootcert=system",
        "sslmode=require&sslcert=/c",
        "sslcert=/c&sslkey=/k",
    ] {
        refusal(query);
    }
}

#[test]
fn only_a_server_that_takes_writes_is_a_target() {
    let target = |value: &str| url(&format!("postgres://db?target_session_attrs={value}")).target_session();
    assert_eq!(
        (target("read-write"), target("primary")),
        (TargetSession::ReadWrite, TargetSession::ReadWrite)
    );
    assert_eq!(target("any"), TargetSession::Any);
    assert_eq!(url("postgres://db?targetServerType=master").target_session(), TargetSession::ReadWrite);
    for value in ["read-only", "standby", "prefer-standby", "secondary", ""] {
        assert!(
            refusal(&format!("target_session_attrs={value}")).contains("every service writes"),
            "{value}"
        );
    }
    assert!(
        "postgres://a:1,b:2/shop".parse::<DatabaseUrl>().unwrap_err().to_string().contains("several hosts")
    );
    assert!(refusal("host=a,b").contains("several hosts"));
}

#[test]
fn other_unknown_parameters_are_named_and_have_no_effect() {
    let url = url(
        "postgresql+asyncpg://shop:s3cret@db/shop?prepared_statement_cache_size=0&pool_size=5&sslmode=allow",
    );
    insta::assert_snapshot!(url.remarks.join("\n"), @"
    sslmode=allow uses TLS where the server offers it, and plain text where it does not; verify-full protects
    `prepared_statement_cache_size` and `pool_size` are unknown and have no effect
    ");
    assert_eq!(url.expose(), "postgres://shop:s3cret@db/shop?sslmode=prefer");
    assert_eq!(
        told("application_name=me&options=-c%20work_mem%3D1MB"),
        "?application_name=me&options=-c+work_mem%3D1MB"
    );
    let slow = url_of_connect_timeout;
    assert_eq!((slow("3"), slow("0")), (Some(Duration::from_secs(3)), None));
    assert!(refusal("connect_timeout=soon").contains("connect_timeout"));
}

fn url_of_connect_timeout(seconds: &str) -> Option<Duration> {
    url(&format!("postgres://db?connect_timeout={seconds}")).connect_timeout()
}

#[test]
fn a_password_that_is_not_encoded_is_named_and_not_told() {
    for (password, named) in [("s3/cret", "%2F"), ("s3?cret", "%3F"), ("s3#cret", "%23"), ("s3%cret", "%25")]
    {
        let told =
            format!("postgresql://shop:{password}@db/shop").parse::<DatabaseUrl>().unwrap_err().to_string();
        assert!(told.contains(named) && !told.contains("s3") && !told.contains("cret"), "{told}");
    }
    assert_eq!(url(" postgresql://shop:s3cret@db/shop\n").expose(), "postgres://shop:s3cret@db/shop");
}
