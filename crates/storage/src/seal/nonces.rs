//! Nonces, drawn several at a time.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use model::Entropy;

/// How many bytes are drawn at once: sixteen nonces.
const DRAWN: usize = 16 * 24;

/// Random bytes that are no secret. A call of the operating system for each nonce is a seventh of what
/// sealing 1 KiB costs, so it is asked once for several.
///
/// Invariant: no byte is given twice. Few are kept, because a copy of the running machine that is set going
/// a second time begins with the same ones.
pub(super) struct Nonces {
    entropy: Arc<dyn Entropy>,
    drawn: Mutex<Drawn>,
}

struct Drawn {
    bytes: [u8; DRAWN],
    /// How many of them were given.
    given: usize,
}

impl Nonces {
    pub(super) fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self { entropy, drawn: Mutex::new(Drawn { bytes: [0; DRAWN], given: DRAWN }) }
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonces")
    }
}

impl Entropy for Nonces {
    fn fill(&self, out: &mut [u8]) {
        let mut drawn = self.drawn.lock().expect("no holder panics");
        if out.len() > DRAWN - drawn.given {
            self.entropy.fill(&mut drawn.bytes);
            drawn.given = 0;
        }
        let from = drawn.given;
        drawn.given += out.len();
        out.copy_from_slice(&drawn.bytes[from..drawn.given]);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use model::SeededEntropy;

    use super::*;

    #[test]
    fn none_is_given_twice() {
        let nonces = Nonces::new(Arc::new(SeededEntropy::new(1)));
        let draw = || {
            let mut nonce = [0; 24];
            nonces.fill(&mut nonce);
            nonce
        };
        let given: Vec<[u8; 24]> = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..1000).map(|_| draw()).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(given.iter().collect::<HashSet<_>>().len(), 4000);
        assert!(!given.contains(&[0; 24]));
    }

    #[test]
    fn odd_lengths_come_from_fresh_bytes_too() {
        let nonces = Nonces::new(Arc::new(SeededEntropy::new(1)));
        let mut seen = HashSet::new();
        for length in (16..40).cycle().take(500) {
            let mut out = vec![0; length];
            nonces.fill(&mut out);
            assert!(seen.insert(out[..16].to_vec()), "some bytes were given before");
        }
    }
}
