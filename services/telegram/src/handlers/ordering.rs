//! Looking at products, and ordering.

use shop_client::{Failure, NewOrder, Order, Owner};
use shop_core::{Money, OrderId, ProductId, basket::Line};
use shop_runtime::config::ExposeSecret as _;
use uuid::Uuid;

use super::parts::{Answer, Asked, Parts, Trouble};
use crate::{
    commands::{Draft, OrderError},
    follows::Placed,
    press,
    replies::{self, Priced, Reply},
    sessions::Session,
};

/// They fit easily into a message, and onto the screen of a phone.
const PRODUCTS_ON_A_PAGE: usize = 8;
const ORDERS_ON_A_PAGE: usize = 5;

impl Parts {
    pub(super) async fn products(&self, asked: Asked, page: usize, draft: Draft) -> Result<Reply, Trouble> {
        let (listed, basket) = tokio::try_join!(
            async { Ok(self.shop.catalog.slice(page * PRODUCTS_ON_A_PAGE, PRODUCTS_ON_A_PAGE).await?) },
            self.basket(&draft),
        )?;
        Ok(replies::products(asked.language, page, &listed, &basket))
    }

    async fn basket(&self, draft: &Draft) -> Result<Priced, Trouble> {
        Ok(Priced::new(draft, self.shop.catalog.by_ids(&draft.product_ids()).await?))
    }

    pub(super) async fn add(
        &self,
        asked: Asked,
        page: usize,
        product: ProductId,
        draft: Draft,
    ) -> Result<Reply, Trouble> {
        let draft = draft.with(product, 1).map_err(Trouble::Order)?;
        if !press::fits(&draft) {
            return Err(Trouble::Order(OrderError::TooManyLines));
        }
        self.products(asked, page, draft).await
    }

    /// Orders what was typed, at the catalog's prices.
    pub(super) async fn order(&self, asked: Asked, draft: &Draft) -> Result<Answer, Trouble> {
        let key = self.idempotency_key(asked, "command");
        let session = self.session(asked).await?;
        let placed = self.place(asked, &session, key, draft.lines()).await;
        self.placed(asked, session, placed).await
    }

    async fn place(
        &self,
        asked: Asked,
        session: &Session,
        key: Uuid,
        items: &[Line],
    ) -> Result<Order, Failure> {
        let order = NewOrder { customer_email: None, items, language: Some(asked.language) };
        self.shop.orders.place(session.token.expose_secret(), key, &order).await
    }

    /// The answer to an order.
    async fn placed(
        &self,
        asked: Asked,
        session: Session,
        placed: Result<Order, Failure>,
    ) -> Result<Answer, Trouble> {
        if let Err(failure) = &placed
            && failure.perhaps_done()
        {
            tracing::warn!(error = %failure, "it is not known whether an order was placed");
            return Err(Trouble::Unclear);
        }
        let order = self.accepted(asked, placed).await?;
        let reply = replies::receipt(asked.language, &order);
        let placed =
            Placed { order: order.id, status: order.status, last: order.last_step(), token: session.token };
        Ok(Answer { placed: Some(placed), ..reply.into() })
    }

    /// Orders a draft if it costs what its button showed; otherwise shows what it costs now.
    pub(super) async fn order_for(
        &self,
        asked: Asked,
        total: Money,
        draft: &Draft,
    ) -> Result<Answer, Trouble> {
        let session = self.session(asked).await?;
        let basket = self.basket(draft).await?;
        if basket.total().map(|(amount, _)| amount) != Some(total) || basket.draft() != *draft {
            return self.changed_prices(asked, draft).await;
        }
        // Pressing the same button twice orders once; another draft under the same message is another order.
        let key = self.idempotency_key(asked, &format!("button:{draft}"));
        match self.place(asked, &session, key, &basket.lines()).await {
            Err(failure) if failure.is_refused_as("price-changed") => self.changed_prices(asked, draft).await,
            placed => self.placed(asked, session, placed).await,
        }
    }

    async fn changed_prices(&self, asked: Asked, draft: &Draft) -> Result<Answer, Trouble> {
        let reply = self.products(asked, 0, draft.clone()).await?;
        Ok(Answer { notice: Some(replies::prices_changed(asked.language)), ..reply.into() })
    }

    pub(super) async fn orders(&self, asked: Asked, page: usize) -> Result<Reply, Trouble> {
        let session = self.session(asked).await?;
        let token = session.token.expose_secret();
        let orders = self.shop.orders.slice(token, page * ORDERS_ON_A_PAGE, ORDERS_ON_A_PAGE).await;
        let orders = self.accepted(asked, orders).await?;
        Ok(replies::orders(asked.language, page, &orders))
    }

    pub(super) async fn ask_cancel(&self, asked: Asked, order: OrderId) -> Result<Reply, Trouble> {
        let session = self.session(asked).await?;
        let order = self.shop.orders.get(Owner::Account(session.token.expose_secret()), order).await;
        let order = self.accepted(asked, order).await?.ok_or(Trouble::NoSuchOrder)?;
        Ok(replies::ask_cancel(asked.language, &order))
    }

    pub(super) async fn cancel(&self, asked: Asked, order: OrderId) -> Result<Answer, Trouble> {
        let session = self.session(asked).await?;
        let cancelled = self.shop.orders.cancel(Owner::Account(session.token.expose_secret()), order).await;
        self.accepted(asked, cancelled).await?;
        let reply = self.orders(asked, 0).await?;
        Ok(Answer { notice: Some(replies::cancelled(asked.language)), ..reply.into() })
    }
}
