//! Who is logged in: a token and its expiry for each private chat, and nothing else. Passwords never get here.

mod memory;
mod redis;
mod session;

use std::sync::Arc;

use shop_core::Clock;
use shop_runtime::config::{RedisUrl, SecretString};

pub(crate) use self::session::{Session, Sessions};
use self::{memory::MemorySessions, redis::RedisSessions};

/// The store that `url` names: `memory:`, or a Redis, where sessions are sealed with what `secret` makes of it.
///
/// # Errors
/// The address is malformed. A Redis that cannot be reached is no error: the connection is made when it is needed.
pub(crate) fn open(url: &RedisUrl, secret: &SecretString, clock: Clock) -> anyhow::Result<Arc<dyn Sessions>> {
    Ok(match url.expose() {
        None => Arc::new(MemorySessions::new(clock)),
        Some(url) => Arc::new(RedisSessions::new(url, secret, clock)?),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::TimeDelta;
    use shop_runtime::config::ExposeSecret as _;
    use teloxide::types::ChatId;

    use super::*;

    const CHAT: ChatId = ChatId(7);

    fn session(clock: &Clock, token: &str, lives: TimeDelta) -> Session {
        Session { token: SecretString::from(token.to_owned()), expires_at: clock.now() + lives }
    }

    async fn token(sessions: &dyn Sessions) -> Option<String> {
        let session = sessions.get(CHAT).await.unwrap();
        session.map(|session| session.token.expose_secret().to_owned())
    }

    /// What every store guarantees. It uses the system's time, because Redis has a clock of its own.
    async fn keeps_the_contract(sessions: &dyn Sessions) {
        let clock = Clock::system();
        sessions.ping().await.unwrap();
        sessions.remove(CHAT).await.unwrap();
        assert_eq!(token(sessions).await, None);

        let first = session(&clock, "first", TimeDelta::minutes(1));
        sessions.put(CHAT, &first).await.unwrap();
        assert_eq!(token(sessions).await.as_deref(), Some("first"));
        let kept = sessions.get(CHAT).await.unwrap().unwrap();
        assert_eq!(kept.expires_at.timestamp_millis(), first.expires_at.timestamp_millis());
        assert!(sessions.get(ChatId(8)).await.unwrap().is_none(), "a session is its chat's own");

        sessions.put(CHAT, &session(&clock, "second", TimeDelta::minutes(1))).await.unwrap();
        assert_eq!(token(sessions).await.as_deref(), Some("second"));
        sessions.remove(CHAT).await.unwrap();
        assert_eq!(token(sessions).await, None);

        sessions.put(CHAT, &session(&clock, "late", TimeDelta::seconds(-1))).await.unwrap();
        assert_eq!(token(sessions).await, None, "an expired session is not handed out");
        sessions.put(CHAT, &session(&clock, "short", TimeDelta::milliseconds(200))).await.unwrap();
        assert_eq!(token(sessions).await.as_deref(), Some("short"));
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(token(sessions).await, None, "a session ends with its token");
    }

    #[tokio::test]
    async fn memory_keeps_the_contract() {
        keeps_the_contract(&*open(&RedisUrl::MEMORY, &"secret".into(), Clock::system()).unwrap()).await;
    }

    #[tokio::test]
    async fn redis_keeps_the_contract() {
        let Some(redis) = shop_testing::redis().await else { return };
        keeps_the_contract(&*open(&redis.url.parse().unwrap(), &"secret".into(), Clock::system()).unwrap())
            .await;
    }

    #[tokio::test]
    async fn what_a_stranger_puts_into_redis_is_removed() {
        let Some(redis) = shop_testing::redis().await else { return };
        let (clock, url) = (Clock::system(), redis.url.parse().unwrap());
        let sessions = open(&url, &"secret".into(), clock.clone()).unwrap();
        let mut stranger = ::redis::Client::open(redis.url.as_str())
            .unwrap()
            .get_multiplexed_async_connection()
            .await
            .unwrap();
        let key = format!("telegram:session:{CHAT}");
        let read = |key: &str| ::redis::cmd("GET").arg(key).to_owned();
        let other = ChatId(8);
        sessions.put(other, &session(&clock, "the stranger's", TimeDelta::minutes(1))).await.unwrap();
        let others: String =
            read(&format!("telegram:session:{other}")).query_async(&mut stranger).await.unwrap();
        let unsealed = r#"{"token":"forged","expires_at":"2999-01-01T00:00:00Z","seal":""}"#.to_owned();
        let longer = others.replace("20", "29");
        for value in ["oops", "{}", "[]", "", &unsealed, &others, &longer] {
            let _: () = ::redis::cmd("SET").arg(&key).arg(value).query_async(&mut stranger).await.unwrap();
            assert_eq!(token(&*sessions).await, None, "{value}");
        }
        let _: () = ::redis::cmd("DEL").arg(&key).query_async(&mut stranger).await.unwrap();
        let _: () =
            ::redis::cmd("HSET").arg(&key).arg("a").arg("b").query_async(&mut stranger).await.unwrap();
        assert_eq!(token(&*sessions).await, None, "a hash");
        let left: i64 = ::redis::cmd("EXISTS").arg(&key).query_async(&mut stranger).await.unwrap();
        assert_eq!(left, 0, "it is removed");
        sessions.put(CHAT, &session(&clock, "mine", TimeDelta::minutes(1))).await.unwrap();
        assert_eq!(token(&*sessions).await.as_deref(), Some("mine"));
    }

    #[tokio::test]
    async fn a_redis_that_is_away_is_an_error_in_time_and_not_at_the_start() {
        let sessions =
            open(&"redis://127.0.0.1:1/0".parse().unwrap(), &"secret".into(), Clock::system()).unwrap();
        let asked = tokio::time::timeout(Duration::from_secs(5), sessions.get(CHAT)).await;
        assert!(asked.unwrap().is_err());
    }
}
