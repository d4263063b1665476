use axum::response::{IntoResponse as _, Redirect};
use serde::Deserialize;

use crate::{
    form::Form,
    i18n::Lang,
    local_path::LocalPath,
    visitor::{Changes, Result},
};

#[derive(Deserialize)]
pub(super) struct Switch {
    lang: Lang,
    next: Option<String>,
}

/// `POST /language`
pub(super) async fn switch(Form { fields: form, .. }: Form<Switch>) -> Result {
    let next = LocalPath::or_home(form.next.as_deref());
    Ok((Changes::lang(form.lang), Redirect::to(next.as_str())).into_response())
}
