use std::{fmt, sync::Arc};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use model::{Entropy, Secret};
use tokio::{sync::Semaphore, task};

use crate::{Error, Result};

/// The shortest password, in characters.
pub const PASSWORD_MIN: usize = 10;
/// The longest password, in characters.
pub const PASSWORD_MAX: usize = 256;

/// How many passwords are hashed at a time: each takes 19 MiB and a core.
const AT_ONCE: usize = 2;
/// How many may wait for their turn; more are refused, so that a flood cannot fill memory.
const WAITING: usize = 32;

/// Hashes and checks passwords with argon2id (RFC 9106), off the request threads.
pub(crate) struct Passwords {
    entropy: Arc<dyn Entropy>,
    turn: Semaphore,
    queue: Semaphore,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords")
    }
}

impl Passwords {
    pub(crate) fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self { entropy, turn: Semaphore::new(AT_ONCE), queue: Semaphore::new(AT_ONCE + WAITING) }
    }

    /// A password's hash in PHC string format.
    pub(crate) async fn hash(&self, password: &Secret) -> Result<Secret> {
        let (password, salt) = (password.clone(), self.salt());
        self.work(move || {
            let hash: PasswordHash = Argon2::default()
                .hash_password_with_salt(password.expose().as_bytes(), &salt)
                .expect("the password and the salt have legal lengths");
            Secret::new(hash.to_string())
        })
        .await
    }

    /// Whether a password is the one that was hashed. Without a hash the answer is no, after the same
    /// work, so that the time taken does not tell whether there is an account.
    pub(crate) async fn matches(&self, password: &Secret, hash: Option<&Secret>) -> Result<bool> {
        let (password, hash, salt) = (password.clone(), hash.cloned(), self.salt());
        self.work(move || {
            let password = password.expose().as_bytes();
            let Some(hash) = hash else {
                let _: std::result::Result<PasswordHash, _> =
                    Argon2::default().hash_password_with_salt(password, &salt);
                return false;
            };
            PasswordHash::new(hash.expose())
                .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
        })
        .await
    }

    fn salt(&self) -> [u8; 16] {
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt);
        salt
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let _place = self.queue.try_acquire().map_err(|_| Error::Busy)?;
        let _turn = self.turn.acquire().await.expect("nobody closes it");
        Ok(task::spawn_blocking(work).await.expect("hashing does not panic"))
    }
}

/// Refuses passwords that are too short or too long, before any work is spent on them.
pub(crate) fn check_length(password: &Secret) -> Result<()> {
    let reason = match password.expose().chars().count() {
        0..PASSWORD_MIN => format!("use at least {PASSWORD_MIN} characters"),
        PASSWORD_MIN..=PASSWORD_MAX => return Ok(()),
        _ => format!("use at most {PASSWORD_MAX} characters"),
    };
    Err(Error::invalid("password", reason))
}

#[cfg(test)]
mod tests {
    use model::SeededEntropy;

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_hash_matches_its_password_only() {
        let passwords = Passwords::new(Arc::new(SeededEntropy::new(1)));
        let hash = passwords.hash(&secret("correct horse")).await.unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$"), "{}", hash.expose());
        assert!(passwords.matches(&secret("correct horse"), Some(&hash)).await.unwrap());
        assert!(!passwords.matches(&secret("correct horsf"), Some(&hash)).await.unwrap());
        assert!(!passwords.matches(&secret("correct horse"), None).await.unwrap());
        assert!(!passwords.matches(&secret("x"), Some(&secret("no hash"))).await.unwrap());
    }

    #[tokio::test]
    async fn a_flood_is_refused() {
        let passwords = Passwords::new(Arc::new(SeededEntropy::new(1)));
        let _all = passwords.queue.acquire_many(u32::try_from(AT_ONCE + WAITING).unwrap()).await.unwrap();
        assert!(matches!(passwords.matches(&secret("x"), None).await, Err(Error::Busy)));
    }

    #[test]
    fn length_counts_characters() {
        assert!(check_length(&secret("nine char")).is_err());
        assert!(check_length(&secret("äöüäöüäöüä")).is_ok());
        assert!(check_length(&secret(&"x".repeat(257))).is_err());
    }
}
