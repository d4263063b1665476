use std::time::Duration;

use shop_client::{Description, Failure, Stock};
use shop_runtime::config::SecretString;
use tokio::time::sleep;

use crate::{addresses::Shop, admin::Admin};

const PAUSE: Duration = Duration::from_secs(2);
const PAGE: usize = 1000;

/// The administrator who keeps the shelves full.
pub(crate) struct Restocker {
    pub(crate) shop: Shop,
    pub(crate) admin: Admin,
    pub(crate) password: SecretString,
    /// How many of each product there are to be.
    pub(crate) wanted: u32,
}

impl Restocker {
    /// Restocks again and again; what fails is done the next time.
    pub(crate) async fn keep_restocking(self) {
        loop {
            sleep(PAUSE).await;
            let _ = self.restock().await;
        }
    }

    /// Restocks every product of which less than half is left.
    pub(crate) async fn restock(&self) -> Result<(), Failure> {
        let token = self.admin.log_in(&self.shop.auth, &self.password).await?;
        let mut cursor = None;
        loop {
            let page = self.shop.books.stock(&token, cursor.as_deref(), PAGE).await?;
            for stock in page.items.iter().filter(|stock| is_low(stock, self.wanted)) {
                // One that is no longer sold has stock, but no description.
                if let Some(product) = self.shop.catalog.product(stock.product_id).await? {
                    let full = Description { stock: Some(self.wanted), ..Description::from(&product) };
                    self.shop.catalog.replace(&token, product.id, &full).await?;
                }
            }
            let Some(next) = page.next else { return Ok(()) };
            cursor = Some(next);
        }
    }
}

fn is_low(stock: &Stock, wanted: u32) -> bool {
    stock.available < i64::from(wanted) / 2
}
