//! What administrators do to a product's stock, in the transaction that changes the product. The product's row is locked before the
//! stock's; events of orders lock no product, so nothing waits in a circle.

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, sea_query::Expr,
};
use shop_core::ProductId;

use super::{books::statement, entity::stock};

/// Makes `available` pieces available, whatever is reserved; the difference counts as received.
pub(crate) async fn set(
    transaction: &impl ConnectionTrait,
    product: ProductId,
    available: u32,
) -> Result<(), DbErr> {
    let values = [product.0.into(), i64::from(available).into()];
    transaction.execute_raw(statement(transaction, SET, values)).await?;
    Ok(())
}

/// `$1`: the product; `$2`: how many are to be available.
const SET: &str = "
INSERT INTO stock (product_id, received, on_hand, reserved, discontinued) VALUES ($1, $2, $2, 0, false)
ON CONFLICT (product_id) DO UPDATE SET
    received = stock.received + $2 + stock.reserved - stock.on_hand,
    on_hand = $2 + stock.reserved";

/// Returns how many pieces are available; 0 if nothing is known of the product.
pub(crate) async fn available(connection: &impl ConnectionTrait, product: ProductId) -> Result<i64, DbErr> {
    let row = stock::Entity::find_by_id(product.0).one(connection).await?;
    Ok(row.map_or(0, |row| row.on_hand - row.reserved))
}

/// Writes off what is not reserved, and what is given back later: the product is deleted. Its reservations stay.
pub(crate) async fn discontinue(transaction: &impl ConnectionTrait, product: ProductId) -> Result<(), DbErr> {
    let written_off = Expr::cust("received - on_hand + reserved");
    stock::Entity::update_many()
        .col_expr(stock::Column::Received, written_off)
        .col_expr(stock::Column::OnHand, Expr::col(stock::Column::Reserved))
        .col_expr(stock::Column::Discontinued, Expr::value(true))
        .filter(stock::Column::ProductId.eq(product.0))
        .exec(transaction)
        .await?;
    Ok(())
}
