use std::{
    num::NonZero,
    sync::{Arc, Mutex, PoisonError},
};

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHasher as _, Version,
    password_hash::{
        self,
        phc::{Output, PasswordHash, Salt},
    },
};
use prometheus_client::metrics::counter::Counter;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use tokio::task::{JoinError, spawn_blocking};
use tracing::Span;

use super::{
    Client, NewPassword, Password,
    queue::{Full, Queue},
};

/// OWASP's first recommendation for argon2id: 19 MiB, two passes, one lane.
/// <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// How many hashes may wait per core. One takes about 20 ms, so the last of them waits well under a second.
const QUEUE_PER_CORE: usize = 32;

/// Hashes and checks passwords with argon2id, off the async threads.
///
/// As many hashes run at once as there are cores, which also bounds memory. A limited number waits, fairly between clients, and
/// further ones are refused. A request that goes away while its hash runs keeps its place until the hash is done.
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    /// Checked in place of the hash of an unknown account. It also holds the current parameters.
    decoy: Arc<PasswordHash>,
    queue: Queue,
    memories: Memories,
    hashes: Counter,
}

/// Memory that hashes have used, kept for the next ones; never more blocks than run at once. An allocator that hands out 19 MiB and
/// gets them back again and again, between small objects that stay, ends up with hundreds of megabytes of fragmentation.
#[derive(Clone, Default)]
struct Memories(Arc<Mutex<Vec<Vec<Block>>>>);

/// The outcome of a check.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// A wrong password, or no such account.
    Wrong,
    /// The right password; store `rehashed` if the old hash was made with other parameters.
    Right { rehashed: Option<SecretString> },
}

/// Why there is no result.
#[derive(Debug, Error)]
pub(crate) enum PasswordError {
    #[error("too many passwords are being hashed already")]
    Busy,
    #[error("argon2 failed: {0}")]
    Argon2(password_hash::Error),
    #[error("hashing was interrupted")]
    CutShort(#[from] JoinError),
}

impl Passwords {
    /// # Errors
    /// The system provides no randomness.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
            .map_err(|error| anyhow::anyhow!("argon2's parameters: {error}"))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = argon2
            .hash_password(b"nobody's password")
            .map_err(|error| anyhow::anyhow!("argon2 cannot hash: {error}"))?;
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self {
            argon2,
            decoy: Arc::new(decoy),
            queue: Queue::new(cores, cores * QUEUE_PER_CORE),
            memories: Memories::default(),
            hashes: Counter::default(),
        })
    }

    /// How often argon2 has run.
    pub(crate) fn hashes(&self) -> Counter {
        self.hashes.clone()
    }

    /// Returns the PHC string (`$argon2id$v=19$…`) to store for `password`.
    pub(crate) async fn hash(
        &self,
        password: NewPassword,
        client: &Client,
    ) -> Result<SecretString, PasswordError> {
        let worker = self.worker();
        self.work(client, move |memory| worker.hash(memory, password.text().as_bytes())).await
    }

    /// Checks `password` against the hash of an account. `None` is an account that does not exist; it costs the
    /// same work, so that the response time does not reveal who is registered.
    pub(crate) async fn check(
        &self,
        password: Password,
        stored: Option<SecretString>,
        client: &Client,
    ) -> Result<Verdict, PasswordError> {
        let worker = self.worker();
        self.work(client, move |memory| worker.check(memory, &password, stored.as_ref())).await
    }

    fn worker(&self) -> Worker {
        Worker { argon2: self.argon2.clone(), decoy: self.decoy.clone(), hashes: self.hashes.clone() }
    }

    #[tracing::instrument(name = "argon2", skip_all)]
    async fn work<T: Send + 'static>(
        &self,
        client: &Client,
        job: impl FnOnce(&mut Vec<Block>) -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turn = self.queue.enter(client).await.map_err(|Full| PasswordError::Busy)?;
        let span = Span::current();
        let memories = self.memories.clone();
        spawn_blocking(move || {
            let _held = turn;
            let mut memory = memories.take();
            let outcome = span.in_scope(|| job(&mut memory));
            memories.give_back(memory);
            outcome
        })
        .await?
    }
}

impl Memories {
    fn take(&self) -> Vec<Block> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give_back(&self, memory: Vec<Block>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
    }
}

/// What is passed to the blocking thread.
struct Worker {
    argon2: Argon2<'static>,
    decoy: Arc<PasswordHash>,
    hashes: Counter,
}

impl Worker {
    fn hash(&self, memory: &mut Vec<Block>, password: &[u8]) -> Result<SecretString, PasswordError> {
        self.hashes.inc();
        let salt = Salt::generate();
        let output = run(&self.argon2, memory, password, &salt).map_err(PasswordError::Argon2)?;
        let hash = PasswordHash { salt: Some(salt), hash: Some(output), ..(*self.decoy).clone() };
        Ok(hash.to_string().into())
    }

    fn check(
        &self,
        memory: &mut Vec<Block>,
        password: &Password,
        stored: Option<&SecretString>,
    ) -> Result<Verdict, PasswordError> {
        let known = stored
            .map(|stored| PasswordHash::new(stored.expose_secret()))
            .transpose()
            .map_err(|error| PasswordError::Argon2(error.into()))?;
        let hash = known.as_ref().unwrap_or(&self.decoy);
        let mut is_of = |password: &[u8]| {
            self.hashes.inc();
            verify(hash, memory, password).map_err(PasswordError::Argon2)
        };
        let is_as_spelled = is_of(password.as_bytes())?;
        // A hash may be older than the single spelling of passwords.
        let is_as_typed = match password.typed_otherwise() {
            Some(typed) if !is_as_spelled => is_of(typed)?,
            _ => false,
        };
        if known.is_none() || !(is_as_spelled || is_as_typed) {
            return Ok(Verdict::Wrong);
        }
        let is_current = is_as_spelled && self.is_current(hash);
        let rehashed = if is_current { None } else { Some(self.hash(memory, password.as_bytes())?) };
        Ok(Verdict::Right { rehashed })
    }

    fn is_current(&self, hash: &PasswordHash) -> bool {
        (hash.algorithm, hash.version, &hash.params)
            == (self.decoy.algorithm, self.decoy.version, &self.decoy.params)
    }
}

/// Whether `hash`, with its own parameters, is of `password`.
fn verify(hash: &PasswordHash, memory: &mut Vec<Block>, password: &[u8]) -> password_hash::Result<bool> {
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
        return Err(password_hash::Error::EncodingInvalid);
    };
    let algorithm = Algorithm::try_from(hash.algorithm.as_str())?;
    let version = hash.version.map(Version::try_from).transpose()?.unwrap_or_default();
    let argon2 = Argon2::new(algorithm, version, Params::try_from(hash)?);
    // In constant time: see the comparison of `Output`.
    Ok(run(&argon2, memory, password, salt)? == *expected)
}

/// Runs argon2 in `memory`, which grows to the size that the parameters need.
fn run(
    argon2: &Argon2<'_>,
    memory: &mut Vec<Block>,
    password: &[u8],
    salt: &Salt,
) -> password_hash::Result<Output> {
    let blocks = argon2.params().block_count();
    if memory.len() < blocks {
        memory.resize(blocks, Block::new());
    }
    let mut buffer = [0; Output::MAX_LENGTH];
    let length = argon2.params().output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let output = buffer.get_mut(..length).ok_or(password_hash::Error::OutputSize)?;
    argon2.hash_password_into_with_memory(password, salt, output, &mut memory[..blocks])?;
    Ok(Output::new(output)?)
}

#[cfg(test)]
mod tests {
    use argon2::PasswordVerifier as _;
    use futures_util::future::join_all;

    use super::*;

    const CLIENT: Client = Client::Operator;

    fn password(text: &str) -> NewPassword {
        Password::from(text).try_into().unwrap()
    }

    fn is_right(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Right { rehashed: None })
    }

    #[tokio::test]
    async fn a_hash_is_a_phc_string_with_owasps_parameters() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash(password("password123"), &CLIENT).await.unwrap();
        assert!(hash.expose_secret().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let again = passwords.hash(password("password123"), &CLIENT).await.unwrap();
        assert_ne!(hash.expose_secret(), again.expose_secret(), "each hash has its own salt");
        let right = passwords.check("password123".into(), Some(hash.clone()), &CLIENT).await.unwrap();
        assert!(is_right(&right));
        let wrong = passwords.check("password124".into(), Some(hash), &CLIENT).await.unwrap();
        assert!(matches!(wrong, Verdict::Wrong));
    }

    #[tokio::test]
    async fn a_hash_is_one_that_any_argon2_verifies() {
        let hash = Passwords::new().unwrap().hash(password("password123"), &CLIENT).await.unwrap();
        let hash = PasswordHash::new(hash.expose_secret()).unwrap();
        assert!(Argon2::default().verify_password(b"password123", &hash).is_ok());
        assert!(Argon2::default().verify_password(b"password124", &hash).is_err());
    }

    #[tokio::test]
    async fn memory_is_kept_for_the_next_hash_and_never_more_than_runs_at_once() {
        let passwords = Passwords::new().unwrap();
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        join_all((0..4 * cores).map(|_| passwords.check("wrong".into(), None, &CLIENT))).await;
        let kept: Vec<usize> = passwords.memories.0.lock().unwrap().iter().map(Vec::len).collect();
        assert!((1..=cores).contains(&kept.len()), "{kept:?}");
        assert!(kept.iter().all(|blocks| *blocks == MEMORY_KIB as usize), "{kept:?}");
    }

    #[tokio::test]
    async fn an_unknown_account_costs_what_a_wrong_password_costs() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash(password("password123"), &CLIENT).await.unwrap();
        let before = passwords.hashes().get();
        passwords.check("wrong".into(), Some(hash), &CLIENT).await.unwrap();
        let known = passwords.hashes().get() - before;
        passwords.check("wrong".into(), None, &CLIENT).await.unwrap();
        let unknown = passwords.hashes().get() - before - known;
        assert_eq!((known, unknown), (1, 1));
    }

    #[tokio::test]
    async fn nobody_has_the_decoys_password() {
        let passwords = Passwords::new().unwrap();
        let verdict = passwords.check("nobody's password".into(), None, &CLIENT).await.unwrap();
        assert!(matches!(verdict, Verdict::Wrong));
    }

    #[tokio::test]
    async fn a_hash_with_old_parameters_is_made_anew_on_login() {
        let passwords = Passwords::new().unwrap();
        let old =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8 * 1024, 1, 1, None).unwrap());
        let old: PasswordHash = old.hash_password(b"password123").unwrap();
        let verdict =
            passwords.check("password123".into(), Some(old.to_string().into()), &CLIENT).await.unwrap();
        let Verdict::Right { rehashed: Some(rehashed) } = verdict else { panic!("{verdict:?}") };
        assert!(is_right(&passwords.check("password123".into(), Some(rehashed), &CLIENT).await.unwrap()));
    }

    #[tokio::test]
    async fn a_hash_that_cannot_be_read_is_an_error_and_not_a_wrong_password() {
        let passwords = Passwords::new().unwrap();
        let outcome = passwords.check("password123".into(), Some("$2b$12$bcrypt".into()), &CLIENT).await;
        assert!(matches!(outcome, Err(PasswordError::Argon2(_))));
    }

    #[tokio::test]
    async fn more_than_the_queue_holds_is_refused() {
        let passwords = Passwords { queue: Queue::new(1, 4), ..Passwords::new().unwrap() };
        let stranger = Client::at([192, 0, 2, 1].into());
        let outcomes = join_all((0..10).map(|_| passwords.check("wrong".into(), None, &stranger))).await;
        let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(PasswordError::Busy))).count();
        assert_eq!(refused, 7, "one runs, and one client may have half of the queue");
        assert!(passwords.check("wrong".into(), None, &stranger).await.is_ok(), "places are given back");
    }

    #[tokio::test]
    async fn a_password_is_right_in_every_spelling_and_kept_in_one() {
        let passwords = Passwords::new().unwrap();
        let (composed, decomposed) =
            ("кофе\u{439}ня é 한", "кофеи\u{306}ня e\u{301}\u{a0}\u{1112}\u{1161}\u{11ab}");
        for (registered, typed) in [(composed, decomposed), (decomposed, composed), (decomposed, decomposed)]
        {
            let hash = passwords.hash(password(registered), &CLIENT).await.unwrap();
            let verdict = passwords.check(typed.into(), Some(hash), &CLIENT).await.unwrap();
            assert!(is_right(&verdict), "{registered} {typed}");
        }
    }

    #[tokio::test]
    async fn a_hash_of_what_was_typed_is_good_and_made_anew() {
        let passwords = Passwords::new().unwrap();
        let typed = "e\u{301}e\u{301} и\u{306}";
        let old: PasswordHash = Argon2::default().hash_password(typed.as_bytes()).unwrap();
        let old = SecretString::from(old.to_string());
        let verdict = passwords.check("éé й".into(), Some(old.clone()), &CLIENT).await.unwrap();
        assert!(matches!(verdict, Verdict::Wrong), "nobody can know how it was typed");
        let verdict = passwords.check(typed.into(), Some(old), &CLIENT).await.unwrap();
        let Verdict::Right { rehashed: Some(new) } = verdict else { panic!("{verdict:?}") };
        assert!(is_right(&passwords.check("éé й".into(), Some(new), &CLIENT).await.unwrap()));
    }

    #[tokio::test]
    async fn a_spelling_of_its_own_costs_an_unknown_account_the_same() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash(password("password123"), &CLIENT).await.unwrap();
        let mut costs = Vec::new();
        for stored in [Some(hash), None] {
            let before = passwords.hashes().get();
            passwords.check("e\u{301}".into(), stored, &CLIENT).await.unwrap();
            costs.push(passwords.hashes().get() - before);
        }
        assert_eq!(costs, [2, 2]);
    }
}
