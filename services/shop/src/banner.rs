//! The banner that the shop prints when it has started.

use crate::{address::at, open::Open};

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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

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
