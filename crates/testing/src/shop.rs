//! The shop as processes: its services and their publishers, and the variables that connect them.
//!
//! Whoever starts them, a test, a measurement or a soak, starts the same shop as compose runs, without the bot.

use std::{io, net::SocketAddr, path::Path};

use crate::address::reserve_address;

/// Long enough for HS256.
const JWT_SECRET: &str = "a secret for the tests that is at least as long as HS256 wants it";
const SESSION_SECRET: &str = "another secret for the tests, for the storefront's cookies";
const LINK_SECRET: &str = "a third secret for the tests, for the links in guests' mails";
const WEBHOOK_SECRET: &str = "a fourth secret for the tests, for the provider's webhooks";

/// The administrator of such a shop.
pub const ADMIN_EMAIL: &str = "admin@example.com";
/// The administrator's password.
pub const ADMIN_PASSWORD: &str = "a password for the tests' administrator";

/// The addresses of the backends.
#[derive(Clone, Copy, Debug)]
pub struct Backends<'a> {
    /// `postgres://…`, for all services.
    pub postgres: &'a str,
    /// `redis://…`
    pub redis: &'a str,
    /// `amqp://…`
    pub rabbitmq: &'a str,
}

/// A service, or a publisher of a service's outbox.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name, which no other part has: `order`, `order-publisher`.
    pub name: &'static str,
    /// Its binary.
    pub binary: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// All of its variables, with that address.
    pub variables: Vec<(&'static str, String)>,
}

/// The parts of a shop, in the order in which they can be started one after the other: publishers last, because they need the tables of their
/// services and the queues of all consumers.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The parts.
    pub parts: Vec<Part>,
}

impl Part {
    /// Sets one of its variables, or replaces it.
    pub fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.variables.retain(|(other, _)| *other != name);
        self.variables.push((name, value.into()));
    }

    /// `http://…`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Plan {
    /// Plans a shop on `backends`, at free addresses. Mails are written into a folder `mails` in `folder`.
    ///
    /// # Errors
    /// No loopback address is free.
    pub fn new(backends: &Backends<'_>, folder: &Path) -> io::Result<Self> {
        let Backends { postgres, redis, rabbitmq } = *backends;
        let text = str::to_owned;
        let mails = format!("folder:{}", folder.join("mails").display());
        let jwt = || ("AUTH_JWT_SECRET", text(JWT_SECRET));
        // As in compose: only the shop's own services call it.
        let internal = || ("TRUST_TRACEPARENT", text("true"));

        let auth = part(
            "auth",
            "AUTH_LISTEN",
            vec![
                ("AUTH_DATABASE_URL", text(postgres)),
                ("AUTH_ADMIN_EMAIL", text(ADMIN_EMAIL)),
                ("AUTH_ADMIN_PASSWORD", text(ADMIN_PASSWORD)),
                jwt(),
                internal(),
            ],
        )?;
        let catalog = part(
            "catalog",
            "CATALOG_LISTEN",
            vec![
                ("CATALOG_DATABASE_URL", text(postgres)),
                ("CATALOG_REDIS_URL", text(redis)),
                ("CATALOG_RABBITMQ_URL", text(rabbitmq)),
                jwt(),
                internal(),
            ],
        )?;
        let order = part(
            "order",
            "ORDER_LISTEN",
            vec![
                ("ORDER_DATABASE_URL", text(postgres)),
                ("ORDER_RABBITMQ_URL", text(rabbitmq)),
                ("ORDER_CATALOG_URL", catalog.url()),
                ("ORDER_GUEST_CHECKOUT", text("true")),
                ("ORDER_LINK_SECRET", text(LINK_SECRET)),
                jwt(),
                internal(),
            ],
        )?;
        let payment = part(
            "payment",
            "PAYMENT_LISTEN",
            vec![
                ("PAYMENT_DATABASE_URL", text(postgres)),
                ("PAYMENT_RABBITMQ_URL", text(rabbitmq)),
                ("PAYMENT_PROVIDER", text("simulated")),
                ("PAYMENT_WEBHOOK_SECRET", text(WEBHOOK_SECRET)),
                jwt(),
                internal(),
            ],
        )?;
        let notification = part(
            "notification",
            "NOTIFICATION_LISTEN",
            vec![
                ("NOTIFICATION_DATABASE_URL", text(postgres)),
                ("NOTIFICATION_RABBITMQ_URL", text(rabbitmq)),
                ("NOTIFICATION_MAIL_URL", mails),
                ("NOTIFICATION_MAIL_FROM", text("shop@example.com")),
                ("ORDER_LINK_SECRET", text(LINK_SECRET)),
                jwt(),
                internal(),
            ],
        )?;
        let web = part(
            "web",
            "WEB_LISTEN",
            vec![
                ("WEB_SESSION_SECRET", text(SESSION_SECRET)),
                ("WEB_AUTH_URL", auth.url()),
                ("WEB_CATALOG_URL", catalog.url()),
                ("WEB_ORDER_URL", order.url()),
            ],
        )?;
        let mut parts = vec![auth, catalog, order, payment, notification, web];
        for publisher in PUBLISHERS {
            parts.push(publisher.part(postgres, rabbitmq)?);
        }
        Ok(Self { parts })
    }

    /// The part `name`.
    ///
    /// # Panics
    /// There is none.
    pub fn part(&self, name: &str) -> &Part {
        self.parts.iter().find(|part| part.name == name).expect("a part of the shop")
    }

    /// The part `name`, to be changed.
    ///
    /// # Panics
    /// There is none.
    pub fn part_mut(&mut self, name: &str) -> &mut Part {
        self.parts.iter_mut().find(|part| part.name == name).expect("a part of the shop")
    }

    /// Sets a variable of every part.
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.parts.iter_mut().for_each(|part| part.set(name, value));
    }
}

/// An outbox, and who must be able to receive what is in it.
struct Publisher {
    name: &'static str,
    schema: &'static str,
    app_id: &'static str,
    queues: &'static str,
}

const PUBLISHERS: [Publisher; 3] = [
    Publisher {
        name: "order-publisher",
        schema: "orders",
        app_id: "order_service",
        queues: "catalog,payment,notification",
    },
    Publisher {
        name: "catalog-publisher",
        schema: "catalog",
        app_id: "catalog_service",
        queues: "payment,order",
    },
    Publisher {
        name: "payment-publisher",
        schema: "payments",
        app_id: "payment_service",
        queues: "order,notification",
    },
];

impl Publisher {
    fn part(&self, postgres: &str, rabbitmq: &str) -> io::Result<Part> {
        let variables = vec![
            ("OUTBOX_DATABASE_URL", postgres.to_owned()),
            ("OUTBOX_SCHEMA", self.schema.to_owned()),
            ("OUTBOX_APP_ID", self.app_id.to_owned()),
            ("OUTBOX_RABBITMQ_URL", rabbitmq.to_owned()),
            ("OUTBOX_REQUIRED_QUEUES", self.queues.to_owned()),
            ("OUTBOX_LEASE_SECONDS", "3".to_owned()),
        ];
        Ok(Part { binary: "outbox-controller", ..part(self.name, "OUTBOX_LISTEN", variables)? })
    }
}

fn part(
    name: &'static str,
    listen: &'static str,
    variables: Vec<(&'static str, String)>,
) -> io::Result<Part> {
    let address = reserve_address()?;
    let mut part = Part { name, binary: name, address, variables };
    part.set(listen, address.to_string());
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let backends = Backends { postgres: "postgres://db/x", redis: "redis://r", rabbitmq: "amqp://b" };
        Plan::new(&backends, Path::new("/tmp/shop")).unwrap()
    }

    #[test]
    fn the_parts_know_each_other() {
        let plan = plan();
        let variables = &plan.part("web").variables;
        let order = variables.iter().find(|(name, _)| *name == "WEB_ORDER_URL").unwrap();
        assert_eq!(order.1, plan.part("order").url());
        assert_eq!(plan.part("catalog-publisher").binary, "outbox-controller");
    }

    #[test]
    fn a_variable_that_is_set_again_is_replaced() {
        let mut plan = plan();
        plan.part_mut("order").set("ORDER_GUEST_CHECKOUT", "false");
        let values = plan.part("order").variables.iter().filter(|(name, _)| *name == "ORDER_GUEST_CHECKOUT");
        assert_eq!(values.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["false"]);
    }
}
