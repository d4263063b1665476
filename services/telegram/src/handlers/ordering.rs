//! Looking at products, and ordering.

use shop_core::{Money, OrderId, ProductId};

use super::{Asked, Parts, Pressed, Trouble};
use crate::{
    commands::{Draft, OrderError},
    press,
    replies::{self, Basket, Reply},
    shop::{Line, Order, ShopError},
};

/// As many as fit into a message with room to spare, and onto a telephone.
const PRODUCTS_ON_A_PAGE: usize = 8;
const ORDERS_ON_A_PAGE: usize = 5;

impl Parts {
    pub(super) async fn products(&self, asked: Asked, page: usize, draft: Draft) -> Result<Reply, Trouble> {
        let (listed, basket) = tokio::try_join!(
            async { Ok(self.shop.products(page * PRODUCTS_ON_A_PAGE, PRODUCTS_ON_A_PAGE).await?) },
            self.basket(&draft),
        )?;
        Ok(replies::products(asked.language, page, &listed, &basket))
    }

    async fn basket(&self, draft: &Draft) -> Result<Basket, Trouble> {
        let ids = draft.lines().iter().map(|(product, _)| *product);
        Ok(Basket::new(draft, self.shop.products_by_id(ids).await?))
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
    pub(super) async fn order(&self, asked: Asked, draft: &Draft) -> Result<Reply, Trouble> {
        let lines = draft.lines().iter();
        let lines: Vec<_> =
            lines.map(|&(product_id, quantity)| Line { product_id, quantity, price: None }).collect();
        let key = self.idempotency_key(asked, "command");
        let session = self.session(asked).await?;
        let placed = self.shop.place_order(&session, key, &lines).await;
        self.placed(asked, placed).await
    }

    /// What became of an order.
    async fn placed(&self, asked: Asked, placed: Result<Order, ShopError>) -> Result<Reply, Trouble> {
        match placed {
            Err(ShopError::Away { service, reason, perhaps_done: true }) => {
                tracing::warn!(service, reason, "it is not known whether an order was placed");
                Err(Trouble::Unclear)
            }
            placed => Ok(replies::receipt(asked.language, &self.accepted(asked, placed).await?)),
        }
    }

    /// Orders a draft for the total that its button showed, or shows what it costs now.
    pub(super) async fn order_for(
        &self,
        asked: Asked,
        total: Money,
        draft: &Draft,
    ) -> Result<Pressed, Trouble> {
        let session = self.session(asked).await?;
        let basket = self.basket(draft).await?;
        if basket.total() != Some(total) || basket.draft() != *draft {
            return self.changed_prices(asked, draft).await;
        }
        let lines = basket.lines().iter();
        let lines: Vec<_> = lines
            .map(|(product, quantity)| Line {
                product_id: product.id,
                quantity: *quantity,
                price: Some(product.price),
            })
            .collect();
        // A second press on the same button orders nothing more; another draft under the same message does.
        let key = self.idempotency_key(asked, &format!("button:{draft}"));
        match self.shop.place_order(&session, key, &lines).await {
            Err(ShopError::Refused(refusal)) if refusal.slug == "price-changed" => {
                self.changed_prices(asked, draft).await
            }
            placed => Ok(self.placed(asked, placed).await?.into()),
        }
    }

    async fn changed_prices(&self, asked: Asked, draft: &Draft) -> Result<Pressed, Trouble> {
        let reply = self.products(asked, 0, draft.clone()).await?;
        Ok(Pressed { reply, notice: Some(replies::prices_changed(asked.language)) })
    }

    pub(super) async fn orders(&self, asked: Asked, page: usize) -> Result<Reply, Trouble> {
        let session = self.session(asked).await?;
        let orders = self.shop.orders(&session, page * ORDERS_ON_A_PAGE, ORDERS_ON_A_PAGE).await;
        let orders = self.accepted(asked, orders).await?;
        Ok(replies::orders(asked.language, page, &orders))
    }

    pub(super) async fn ask_cancel(&self, asked: Asked, order: OrderId) -> Result<Reply, Trouble> {
        let session = self.session(asked).await?;
        let order = self.shop.order(&session, order).await;
        let order = self.accepted(asked, order).await?;
        Ok(replies::ask_cancel(asked.language, &order))
    }

    pub(super) async fn cancel(&self, asked: Asked, order: OrderId) -> Result<Pressed, Trouble> {
        let session = self.session(asked).await?;
        let cancelled = self.shop.cancel_order(&session, order).await;
        self.accepted(asked, cancelled).await?;
        let reply = self.orders(asked, 0).await?;
        Ok(Pressed { reply, notice: Some(replies::cancelled(asked.language)) })
    }
}
