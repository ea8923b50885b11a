use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use model::Entropy;

/// Randomness that remembers what it gave: each secret that a platform made itself.
pub struct Drawn {
    from: Box<dyn Entropy>,
    given: Mutex<Vec<Vec<u8>>>,
}

impl Drawn {
    /// From this source.
    pub fn from(source: impl Entropy + 'static) -> Self {
        Self { from: Box::new(source), given: Mutex::default() }
    }

    /// Everything of 256 bits so far: keys, tokens, codes, ids of sessions.
    pub fn secrets(&self) -> Vec<Vec<u8>> {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.iter().filter(|bytes| bytes.len() == 32).cloned().collect()
    }
}

impl fmt::Debug for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Drawn")
    }
}

impl Entropy for Drawn {
    fn fill(&self, out: &mut [u8]) {
        self.from.fill(out);
        self.given.lock().unwrap_or_else(PoisonError::into_inner).push(out.to_vec());
    }
}
