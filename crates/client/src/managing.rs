//! What administrators change.

use http::Method;
use serde::Serialize;
use shop_core::{Money, ProductId};

use crate::{Books, Catalog, Failure, Product};

/// A product as an administrator describes it.
#[derive(Clone, Debug, Serialize)]
pub struct Description<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its description.
    pub description: &'a str,
    /// The price of one piece.
    pub price: Money,
    /// Its category.
    pub category: &'a str,
    /// How many can be bought from now on; what is reserved stays so. `None` leaves the stock alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stock: Option<u32>,
}

impl<'a> From<&'a Product> for Description<'a> {
    /// The product as it is, with its stock left alone.
    fn from(product: &'a Product) -> Self {
        let Product { name, description, price, category, .. } = product;
        Self { name, description, price: *price, category, stock: None }
    }
}

#[derive(Serialize)]
struct Switch {
    on: bool,
}

impl Catalog {
    /// Creates a product. `token` is an administrator's, here and below.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn create(&self, token: &str, description: &Description<'_>) -> Result<Product, Failure> {
        let request = || {
            let request = self.upstream().request(Method::POST, &["products"]);
            request.bearer_auth(token).json(description)
        };
        self.upstream().call("POST /products", request).await?.json()
    }

    /// Describes a product anew.
    ///
    /// # Errors
    /// See [`Failure`]; refused with 404 if there is no such product.
    pub async fn replace(
        &self,
        token: &str,
        id: ProductId,
        description: &Description<'_>,
    ) -> Result<Product, Failure> {
        let path = ["products", &id.to_string()];
        let request = || self.upstream().request(Method::PUT, &path).bearer_auth(token).json(description);
        self.upstream().call("PUT /products/{id}", request).await?.json()
    }
}

impl Books {
    /// Makes the simulated provider unreachable, or reachable again, for every replica of payment_service.
    ///
    /// # Errors
    /// See [`Failure`]; refused with 404 where another provider charges.
    pub async fn switch_outage(&self, token: &str, on: bool) -> Result<(), Failure> {
        let path = ["simulated", "switches", "outage"];
        let request = || self.payment().request(Method::PUT, &path).bearer_auth(token).json(&Switch { on });
        self.payment().call("PUT /simulated/switches/{switch}", request).await.map(drop)
    }
}
