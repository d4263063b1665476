use axum::response::{IntoResponse as _, Redirect};
use serde::Deserialize;
use shop_core::Language;

use crate::{
    form::Form,
    local_path::LocalPath,
    visitor::{Changes, Result},
};

#[derive(Deserialize)]
pub(super) struct Switch {
    #[serde(rename = "lang")]
    language: Language,
    next: Option<String>,
}

/// `POST /language`
pub(super) async fn switch(Form { fields: form, .. }: Form<Switch>) -> Result {
    let next = LocalPath::or_home(form.next.as_deref());
    Ok((Changes::language(form.language), Redirect::to(next.as_str())).into_response())
}
