//! The banner that the shop prints when it has started.

use std::net::{Ipv4Addr, SocketAddr};

use crate::open::Open;

/// Where to look, and three things to try.
pub(crate) fn banner(open: &Open) -> String {
    let (auth, catalog, order) = (at(open.auth), at(open.catalog), at(open.order));
    let (payment, notification) = (at(open.payment), at(open.notification));
    let bot = if open.bot { "on" } else { "off (set TELEGRAM_BOT_TOKEN)" };
    format!(
        r#"
  The shop is open. Ctrl-C closes it.

    Storefront     {web}
    Mails          {notification}/mailbox
    Accounts       {auth}/docs
    Catalog        {catalog}/docs
    Orders         {order}/docs
    Payments       {payment}/docs
    Notifications  {notification}/docs
    Publisher      {outbox}/metrics
    Bot            {bot}
    Admin          {admin}, password in {secrets}

  Try it:

    curl {catalog}/products

    curl -X POST {order}/orders -H "Content-Type: application/json" \
      -d '{{"customer_email": "buyer@example.com", "items": [{{"product_id": 1, "quantity": 2, "price": 500.0}}]}}'

    curl {order}/orders
"#,
        web = at(open.web),
        outbox = at(open.outbox),
        admin = open.admin,
        secrets = open.secrets.display(),
    )
}

/// Where a person on this machine finds what listens on `address`.
pub(crate) fn at(address: SocketAddr) -> String {
    match address.ip() {
        ip if ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST => {
            format!("http://localhost:{}", address.port())
        }
        _ => format!("http://{address}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_a_browser_takes_it() {
        let shown = |address: &str| at(address.parse().unwrap());
        for everywhere in ["127.0.0.1:8080", "0.0.0.0:8080", "[::]:8080"] {
            assert_eq!(shown(everywhere), "http://localhost:8080");
        }
        // `localhost` is often 127.0.0.1 first.
        assert_eq!(shown("[::1]:8080"), "http://[::1]:8080");
        assert_eq!(shown("[fd00::7]:80"), "http://[fd00::7]:80");
        assert_eq!(shown("192.0.2.7:8080"), "http://192.0.2.7:8080");
    }

    #[test]
    fn the_banner_names_every_address() {
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let open = Open {
            auth: at(8001),
            catalog: at(8002),
            order: at(8003),
            payment: at(8004),
            notification: at(8005),
            web: at(8080),
            outbox: at(8081),
            bot: false,
            admin: "admin@example.com".to_owned(),
            secrets: ".shop/secrets.json".into(),
        };
        insta::assert_snapshot!(banner(&open));
    }
}
