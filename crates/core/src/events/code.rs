//! Reasons for programs.

use utoipa::openapi::{
    ObjectBuilder, RefOr, Schema,
    schema::{AnyOfBuilder, Type},
};

/// The schema of a code: today's values, and any other text, because a later version may add values.
pub(super) fn schema<const N: usize>(description: &str, known: [&str; N], default: &str) -> RefOr<Schema> {
    let known = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(known));
    let others = ObjectBuilder::new().schema_type(Type::String).description(Some(format!(
        "A later version may add values: read one that you do not know as `{default}`."
    )));
    AnyOfBuilder::new().description(Some(description)).item(known).item(others).into()
}
