use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, sea_query::OnConflict,
};
use shop_core::{Email, Language, UserId};

use super::{
    Store,
    entity::telegram_link::{ActiveModel, Column, Entity},
};

/// A chat that a customer has linked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) chat_id: i64,
    pub(crate) user_id: UserId,
    pub(crate) email: Email,
    pub(crate) language: Language,
}

impl Store {
    /// Links a chat. It replaces the account's previous chat, and the chat's previous account.
    pub(crate) async fn link(&self, link: &Link) -> Result<(), DbErr> {
        self.database
            .transaction(|transaction| async move {
                let row = ActiveModel {
                    chat_id: Set(link.chat_id),
                    user_id: Set(link.user_id.0),
                    email: Set(link.email.to_string()),
                    language: Set(link.language.code().to_owned()),
                    created_at: Set(self.clock.now()),
                };
                let replaced = [Column::UserId, Column::Email, Column::Language, Column::CreatedAt];
                let replace = OnConflict::column(Column::ChatId).update_columns(replaced).to_owned();
                Entity::insert(row).on_conflict(replace).exec_without_returning(&transaction).await?;
                let others = Entity::delete_many()
                    .filter(Column::UserId.eq(link.user_id.0))
                    .filter(Column::ChatId.ne(link.chat_id));
                others.exec(&transaction).await?;
                transaction.commit().await
            })
            .await
    }

    /// Removes a chat's link, if it has one.
    pub(crate) async fn unlink(&self, chat_id: i64) -> Result<(), DbErr> {
        self.unlink_in(&self.database, chat_id).await
    }

    /// The same in a transaction.
    pub(crate) async fn unlink_in(
        &self,
        connection: &impl ConnectionTrait,
        chat_id: i64,
    ) -> Result<(), DbErr> {
        Entity::delete_by_id(chat_id).exec(connection).await.map(drop)
    }

    /// Returns the chat of the customer with this address, and the language that it was linked in.
    pub(crate) async fn chat_of(
        &self,
        transaction: &impl ConnectionTrait,
        email: &Email,
    ) -> Result<Option<(i64, Option<Language>)>, DbErr> {
        let newest = Entity::find().filter(Column::Email.eq(email.as_str())).order_by_desc(Column::CreatedAt);
        let row = newest.one(transaction).await?;
        Ok(row.map(|row| (row.chat_id, Language::of_tag(&row.language))))
    }
}
