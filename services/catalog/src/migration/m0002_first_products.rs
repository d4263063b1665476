//! The products with which a new shop opens. A migration runs once, so products that an admin deletes stay deleted.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

struct First {
    name: &'static str,
    description: &'static str,
    price_minor: i64,
    category: &'static str,
    stock: i32,
    drawing: &'static str,
}

const fn first(
    drawing: &'static str,
    category: &'static str,
    price: i64,
    stock: i32,
    name: &'static str,
    description: &'static str,
) -> First {
    First { name, description, price_minor: price * 100, category, stock, drawing }
}

/// In the order of their ids, from 1. The specification's examples buy 1 at 500.0 and 2 at 1500.0.
const PRODUCTS: [First; 16] = [
    first(
        "mug",
        "kitchen",
        500,
        120,
        "Morning Mug",
        "A stoneware mug that holds 350 ml and keeps its warmth. Glazed by hand, so no two rims are quite the same.",
    ),
    first(
        "teapot",
        "kitchen",
        1500,
        45,
        "Clay Teapot",
        "Brews four cups without a drip. The unglazed lid and the bamboo handle stay cool to the touch.",
    ),
    first(
        "arc-lamp",
        "lighting",
        4900,
        18,
        "Arc Desk Lamp",
        "One bent brass tube, a linen-white shade and a dimmer in the foot. Warm light exactly where the page is.",
    ),
    first(
        "notebook",
        "desk",
        650,
        200,
        "Linen Notebook",
        "192 dotted pages of 100 g paper that open flat, in a linen cover with a ribbon and a pocket at the back.",
    ),
    first(
        "pencil-cup",
        "desk",
        890,
        80,
        "Oak Pencil Cup",
        "Turned from a single piece of oak, oiled, with a felt sole. Comes with three pencils to start you off.",
    ),
    first(
        "succulent",
        "plants",
        750,
        60,
        "Little Succulent",
        "An echeveria in a speckled pot. Asks for a bright sill, a sip of water a fortnight and nothing else.",
    ),
    first(
        "wall-clock",
        "home",
        3200,
        25,
        "Noon Wall Clock",
        "A silent sweep movement behind a plain face of ash, 30 cm across. Nothing ticks; time just passes.",
    ),
    first(
        "candle",
        "home",
        980,
        90,
        "Cedar Candle",
        "Soy wax with cedar and a little smoke, poured into a glass that is worth keeping. Burns for forty hours.",
    ),
    first(
        "monstera",
        "plants",
        2400,
        15,
        "Monstera in Terracotta",
        "Half a metre tall and growing, in a terracotta pot with its saucer. Forgives a forgotten week.",
    ),
    first(
        "cushion",
        "textiles",
        1900,
        50,
        "Sunrise Cushion",
        "45 by 45 cm of washed cotton with an appliqué sun, and a feather filling that shakes back into shape.",
    ),
    first(
        "throw",
        "textiles",
        5400,
        22,
        "Wool Throw",
        "Woven from undyed lambswool with a striped border and hand-knotted fringes, 130 by 180 cm.",
    ),
    first(
        "lantern",
        "lighting",
        1700,
        40,
        "Paper Lantern",
        "Mulberry paper over bamboo ribs, 40 cm across. Hangs by a cotton cord and turns any bulb into an evening.",
    ),
    first(
        "desk-globe",
        "desk",
        3600,
        12,
        "Desk Globe",
        "A matt globe 20 cm across on a beech stand, with the seas in calm blue and the mountains in relief.",
    ),
    first(
        "hourglass",
        "desk",
        1250,
        70,
        "Half-Hour Glass",
        "Thirty minutes of fine sand between two oak discs: long enough for one good thing, without a screen.",
    ),
    first(
        "watering-can",
        "plants",
        1350,
        35,
        "Long-Neck Watering Can",
        "1.2 litres of powder-coated steel with a spout that reaches under the leaves and never floods the saucer.",
    ),
    first(
        "moon-light",
        "lighting",
        2100,
        30,
        "Moon Night Light",
        "A crescent that glows for twelve hours on one charge and fades out on its own. Tap it to call it back.",
    ),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut insert = Query::insert();
        insert.into_table("products").columns([
            "id",
            "name",
            "description",
            "price_minor",
            "category",
            "stock",
            "drawing",
            "search_text",
        ]);
        for (id, product) in (1_i64..).zip(&PRODUCTS) {
            insert.values_panic([
                id.into(),
                product.name.into(),
                product.description.into(),
                product.price_minor.into(),
                product.category.into(),
                product.stock.into(),
                product.drawing.into(),
                format!("{}\n{}", product.name, product.description).to_lowercase().into(),
            ]);
        }
        manager.execute(insert).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            // The ids were given explicitly, so the sequence has not advanced. SQLite's AUTOINCREMENT looks at the table.
            manager
                .get_connection()
                .execute_unprepared(
                    "SELECT setval(pg_get_serial_sequence('products', 'id'), (SELECT max(id) FROM products))",
                )
                .await?;
        }
        Ok(())
    }
}
