use shop_core::{Currency, Language, Money, OrderId, events::OrderedItem};
use shop_runtime::{Periodically, seal::Envelope};
use url::Url;

use super::{
    known_order::KnownOrder,
    news::{News, Newsworthy},
};

/// What a customer is told, whatever the channel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notice {
    pub(crate) order_id: OrderId,
    pub(crate) language: Language,
    pub(crate) news: News,
    /// The lines, where they are worth repeating.
    pub(crate) items: Vec<OrderedItem>,
    pub(crate) total: Option<(Money, Currency)>,
    /// The order's page, if the customer can open it.
    pub(crate) link: Option<Url>,
}

/// The pages of orders.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    shop: Url,
    envelope: Option<Envelope>,
}

impl Links {
    /// Pages of the shop at `shop`. `envelope` opens the tokens of guests' orders.
    pub(crate) fn new(shop: Url, envelope: Option<Envelope>) -> Self {
        Self { shop, envelope }
    }

    /// The page of an order, on which the customer needs no more than the link, or an account's login.
    ///
    /// Without the secret that seals guests' tokens nobody can tell a guest's order from an account's, and a guest could not open the
    /// page; so there are no links then.
    pub(crate) fn to(&self, order: &KnownOrder) -> Option<Url> {
        let envelope = self.envelope.as_ref()?;
        let mut page = self.shop.clone();
        let id = order.order_id.to_string();
        page.path_segments_mut().ok()?.pop_if_empty().extend(["orders", &id]);
        if let Some(sealed) = &order.sealed_token {
            let token = match envelope.open(sealed, id.as_bytes()) {
                Ok(token) => String::from_utf8(token).ok()?,
                Err(error) => {
                    static UNSEALABLE: Periodically = Periodically::line();
                    if let Some(count) = UNSEALABLE.due() {
                        tracing::warn!(%error, count, "mails to guests have no link: is ORDER_LINK_SECRET that of the order service?");
                    }
                    return None;
                }
            };
            page.query_pairs_mut().append_pair("token", &token);
        }
        Some(page)
    }
}

impl Notice {
    /// What the customer is told about `event`. An order whose `order_created` has not been seen has neither lines nor a link, and its
    /// language is the shop's first.
    pub(crate) fn about<E: Newsworthy>(event: &E, known: Option<&KnownOrder>, links: &Links) -> Self {
        let news = event.news(known);
        let shows_lines = matches!(news, News::Received | News::Confirmed);
        Self {
            order_id: event.order_id(),
            language: known.and_then(|known| known.language).unwrap_or(Language::Russian),
            items: known.filter(|_| shows_lines).map(|known| known.items.clone()).unwrap_or_default(),
            total: event.total(),
            link: known.and_then(|known| links.to(known)),
            news,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn order(sealed_token: Option<String>) -> KnownOrder {
        KnownOrder {
            order_id: OrderId(Uuid::from_u128(7)),
            customer_email: "user@example.com".parse().unwrap(),
            language: None,
            items: Vec::new(),
            total_amount: Money::ZERO,
            currency: Currency::RUB,
            sealed_token,
            was_confirmed: false,
        }
    }

    fn link(shop: &str, envelope: Option<&Envelope>, sealed_token: Option<String>) -> Option<String> {
        let links = Links::new(shop.parse().unwrap(), envelope.cloned());
        links.to(&order(sealed_token)).map(String::from)
    }

    #[test]
    fn a_guests_link_has_the_token_and_an_accounts_has_none() {
        let envelope = Envelope::new("order token", b"a secret of the tests").unwrap();
        let page = "https://shop.example/orders/00000000-0000-0000-0000-000000000007";
        assert_eq!(link("https://shop.example", Some(&envelope), None).unwrap(), page);
        let id = Uuid::from_u128(7).to_string();
        let sealed = envelope.seal(b"t0ken", id.as_bytes()).unwrap();
        let guests = link("https://shop.example/", Some(&envelope), Some(sealed.clone())).unwrap();
        assert_eq!(guests, format!("{page}?token=t0ken"));
        let below = link("https://example.com/shop/", Some(&envelope), None).unwrap();
        assert_eq!(below, format!("https://example.com/shop/orders/{id}"));
        assert_eq!(link("https://shop.example", None, Some(sealed.clone())), None);
        assert_eq!(link("https://shop.example", None, None), None);
        let other = Envelope::new("order token", b"another secret").unwrap();
        assert_eq!(link("https://shop.example", Some(&other), Some(sealed)), None);
    }
}
