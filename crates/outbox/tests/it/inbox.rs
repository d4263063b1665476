//! What arrives twice takes effect once.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use shop_outbox::inbox::{self, Receipt};
use uuid::Uuid;

use crate::support::Fixture;

on_both!(
    a_message_is_new_once_for_each_consumer,
    a_message_whose_effect_was_rolled_back_is_new_again,
    old_messages_are_forgotten_in_chunks,
);

async fn a_message_is_new_once_for_each_consumer(fixture: Fixture) {
    let id = Uuid::new_v4();
    for (consumer, receipt) in
        [("a", Receipt::New), ("a", Receipt::Duplicate), ("b", Receipt::New), ("b", Receipt::Duplicate)]
    {
        let transaction = fixture.database.begin().await.unwrap();
        assert_eq!(inbox::receive(&transaction, consumer, id).await.unwrap(), receipt, "{consumer}");
        transaction.commit().await.unwrap();
    }
}

async fn a_message_whose_effect_was_rolled_back_is_new_again(fixture: Fixture) {
    let id = Uuid::new_v4();
    for _ in 0..2 {
        let transaction = fixture.database.begin().await.unwrap();
        assert_eq!(inbox::receive(&transaction, "a", id).await.unwrap(), Receipt::New);
        transaction.rollback().await.unwrap();
    }
}

async fn old_messages_are_forgotten_in_chunks(fixture: Fixture) {
    let ids: Vec<Uuid> = (0..5).map(|_| Uuid::new_v4()).collect();
    for id in &ids {
        assert_eq!(inbox::receive(&fixture.database, "a", *id).await.unwrap(), Receipt::New);
    }
    let forget = async |retention| inbox::forget(&fixture.database, retention, 3).await.unwrap();
    assert_eq!(forget(Duration::from_secs(60)).await, 0, "they are young");
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(forget(Duration::from_millis(1)).await, 3);
    assert_eq!(forget(Duration::from_millis(1)).await, 2);
    assert_eq!(inbox::receive(&fixture.database, "a", ids[0]).await.unwrap(), Receipt::New);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_deliveries_at_once_one_takes_effect() {
    let Some(fixture) = Fixture::real().await else { return };
    let id = Uuid::new_v4();
    for (ends, receipt) in [("ROLLBACK", Receipt::New), ("COMMIT", Receipt::Duplicate)] {
        let first = fixture.another_connection().await.begin().await.unwrap();
        assert_eq!(inbox::receive(&first, "a", id).await.unwrap(), Receipt::New);
        let second = fixture.another_connection().await.begin().await.unwrap();
        let mut waiting = Box::pin(inbox::receive(&second, "a", id));
        let too_soon = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
        assert!(too_soon.is_err(), "it waits for the first");
        first.execute_unprepared(ends).await.unwrap();
        assert_eq!(waiting.await.unwrap(), receipt, "after {ends}");
        second.rollback().await.unwrap();
    }
}
