use std::{fmt, sync::Mutex};

use rand::{Rng as _, SeedableRng as _, TryRng as _, rngs::SysRng};
use rand_chacha::ChaCha20Rng;

/// Where random bytes come from.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `out` with random bytes.
    fn fill(&self, out: &mut [u8]);
}

/// The operating system's generator.
#[derive(Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, out: &mut [u8]) {
        SysRng.try_fill_bytes(out).expect("the operating system has entropy");
    }
}

/// A repeatable generator, for tests.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<ChaCha20Rng>);

impl SeededEntropy {
    /// A generator whose output depends only on `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(ChaCha20Rng::seed_from_u64(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        self.0.lock().expect("no holder panics").fill_bytes(out);
    }
}

/// A fresh 256-bit value as 64 lower-case hexadecimal digits behind `prefix`, which tells secret
/// scanners what leaked (`rt_`, `c_`, …).
pub fn random_token(entropy: &dyn Entropy, prefix: &str) -> String {
    use fmt::Write as _;
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    bytes.iter().fold(prefix.to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}
