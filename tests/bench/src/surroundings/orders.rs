//! Customers who order again and again. Each order has its own key, under which it is retried until it is answered: through
//! refusals, broken connections and silence.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use shop_testing::Dice;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};
use uuid::Uuid;

use super::place::Place;
use crate::{
    controller::until,
    load::{Connection, end_of_head},
};

/// How long one attempt may take. Longer than the service's own time-outs.
const TRY: Duration = Duration::from_secs(20);
/// How long an order may take in total, faults included.
const ORDER: Duration = Duration::from_secs(180);
/// The pause before a customer orders again.
const PAUSE: (u64, u64) = (20, 120);
/// The pause before an order is retried, unless the response says how long.
const RETRY: (u64, u64) = (100, 700);
/// How many percent of orders are requested once more after they were answered.
const AGAIN: u64 = 10;
const PASSWORD: &str = "a long enough phrase for a soak";

/// The responses that customers got.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    /// The order that was answered with 201, by key.
    pub(crate) acknowledged: HashMap<Uuid, Uuid>,
    /// How often a key was sent again after that.
    pub(crate) repeated: u64,
    /// How often each response was given; `no answer` is one.
    pub(crate) answers: BTreeMap<String, u64>,
    /// Responses that must not occur.
    pub(crate) contradictions: Vec<String>,
}

impl Placed {
    fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.repeated += other.repeated;
        for (answer, times) in other.answers {
            *self.answers.entry(answer).or_default() += times;
        }
        self.contradictions.extend(other.contradictions);
    }
}

pub(crate) struct Customers {
    customers: JoinSet<anyhow::Result<Placed>>,
    count: u64,
    answered: Arc<AtomicU64>,
    stop: watch::Sender<bool>,
}

impl Customers {
    /// Registers `count` customers, who order until [`Customers::finish`].
    pub(crate) async fn start(place: &Place, count: u8, seed: u64) -> anyhow::Result<Self> {
        let (stop, stopping) = watch::channel(false);
        let (mut customers, answered) = (JoinSet::new(), Arc::<AtomicU64>::default());
        for number in 0..count {
            let email = format!("customer-{number}@example.com");
            let token = log_in(place.auth(), &email).await?;
            let mut dice = Dice::new(seed + u64::from(number));
            let customer = Customer {
                till: Till::new(place.order()),
                token,
                email,
                dice: Dice::new(dice.below(u64::from(u32::MAX))),
                placed: Placed::default(),
                answered: Arc::clone(&answered),
                stop: stopping.clone(),
            };
            customers.spawn(customer.order_again_and_again());
        }
        Ok(Self { customers, count: count.into(), answered, stop })
    }

    /// Waits until as many orders as there are customers have been answered from now on.
    pub(crate) async fn are_served(&self) -> anyhow::Result<()> {
        let wanted = self.answered.load(Ordering::Relaxed) + self.count;
        until("customers are served", ORDER, async || self.answered.load(Ordering::Relaxed) >= wanted).await
    }

    /// Lets each finish its current order; returns their responses.
    pub(crate) async fn finish(mut self) -> anyhow::Result<Placed> {
        self.stop.send_replace(true);
        let mut all = Placed::default();
        while let Some(placed) = self.customers.join_next().await {
            all.add(placed??);
        }
        Ok(all)
    }
}

struct Customer {
    till: Till,
    token: String,
    email: String,
    dice: Dice,
    placed: Placed,
    answered: Arc<AtomicU64>,
    stop: watch::Receiver<bool>,
}

impl Customer {
    async fn order_again_and_again(mut self) -> anyhow::Result<Placed> {
        while !*self.stop.borrow() {
            let key = Uuid::new_v4();
            let body = format!(
                r#"{{"customer_email":"{}","items":[{{"product_id":1,"quantity":1}},{{"product_id":2,"quantity":1}}]}}"#,
                self.email
            );
            let order = self.insist(key, &body).await?;
            self.placed.acknowledged.insert(key, order);
            self.answered.fetch_add(1, Ordering::Relaxed);
            if self.dice.chance(AGAIN) {
                let same = self.insist(key, &body).await?;
                self.placed.repeated += 1;
                if same != order {
                    self.placed
                        .contradictions
                        .push(format!("the key {key} was answered with {order}, then with {same}"));
                }
            }
            sleep(self.dice.millis(PAUSE.0, PAUSE.1)).await;
        }
        Ok(self.placed)
    }

    /// Retries until it is answered with 201.
    async fn insist(&mut self, key: Uuid, body: &str) -> anyhow::Result<Uuid> {
        let headers = format!("authorization: Bearer {}\r\nidempotency-key: {key}\r\n", self.token);
        let deadline = Instant::now() + ORDER;
        loop {
            let answer = self.till.post("/orders", &headers, body).await;
            let told = match &answer {
                Ok(answer) => answer.status.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            *self.placed.answers.entry(told).or_default() += 1;
            let mut pause = self.dice.millis(RETRY.0, RETRY.1);
            match answer {
                Ok(Answer { status: 201, body, .. }) => return order_in(&body),
                // An earlier attempt is still in progress, there are too many, or it is not possible now.
                Ok(Answer { status: 409 | 425 | 429 | 502 | 503 | 504 | 507, retry_after, .. }) => {
                    pause = pause.max(retry_after.unwrap_or_default());
                }
                Ok(Answer { status, body, .. }) => {
                    let wrong = format!("an order was answered with {status}: {body}");
                    if !self.placed.contradictions.contains(&wrong) && self.placed.contradictions.len() < 20 {
                        self.placed.contradictions.push(wrong);
                    }
                }
                Err(_) => {}
            }
            if Instant::now() > deadline {
                bail!("the order {key} was not answered within {ORDER:?}; last: {:?}", self.placed.answers);
            }
            sleep(pause).await;
        }
    }
}

/// Registers, unless that has already happened, and logs in.
async fn log_in(auth: SocketAddr, email: &str) -> anyhow::Result<String> {
    let mut till = Till::new(auth);
    let body = format!(r#"{{"email":"{email}","password":"{PASSWORD}"}}"#);
    let deadline = Instant::now() + ORDER;
    loop {
        // An earlier attempt may have created it.
        let _ = till.post("/auth/register", "", &body).await;
        match till.post("/auth/token", "", &body).await {
            Ok(Answer { status: 200, body, .. }) => {
                let text = text_of(&body, "access_token").context("a login without a token")?;
                return Ok(text.to_owned());
            }
            answer if Instant::now() > deadline => bail!("{email} cannot log in: {answer:?}"),
            _ => sleep(Duration::from_millis(500)).await,
        }
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    body: String,
}

/// A connection that is reopened after it breaks.
struct Till {
    address: SocketAddr,
    connection: Option<Connection>,
}

impl Till {
    fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    async fn post(&mut self, path: &str, headers: &str, body: &str) -> anyhow::Result<Answer> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address).await?,
        };
        let status = tokio::time::timeout(TRY, connection.ask(request.as_bytes())).await??;
        let text = String::from_utf8_lossy(&connection.answer).into_owned();
        let (head, body) = text.split_at(end_of_head(&connection.answer).unwrap_or(text.len()));
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(':'));
            lines.find_map(|(found, value)| found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned()))
        };
        if header("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close")) {
            self.connection = Some(connection);
        }
        let retry_after =
            header("retry-after").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        Ok(Answer { status, retry_after, body: body.to_owned() })
    }
}

fn order_in(body: &str) -> anyhow::Result<Uuid> {
    let id = text_of(body, "id").or_else(|| text_of(body, "order_id"));
    id.and_then(|id| Uuid::try_parse(id).ok()).with_context(|| format!("a 201 that names no order: {body}"))
}

/// The value of a text field in a JSON object without white space.
fn text_of<'a>(json: &'a str, field: &str) -> Option<&'a str> {
    let (_, rest) = json.split_once(&format!("\"{field}\":\""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_found_in_its_answer() {
        let id = Uuid::nil();
        assert_eq!(order_in(&format!(r#"{{"id":"{id}","status":"pending"}}"#)).unwrap(), id);
        assert!(order_in("{}").is_err());
    }
}
