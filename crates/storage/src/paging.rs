use std::future::Future;

use crate::Result;

/// How much is read at a time when all of a list is.
const PAGE: u32 = 500;

/// Reads a list to its end, a page at a time. `page` reads what comes behind a key; `key` is that of an item.
pub async fn pages<T, K, F>(page: impl Fn(Option<K>, u32) -> F, key: impl Fn(&T) -> K) -> Result<Vec<T>>
where
    F: Future<Output = Result<Vec<T>>>,
{
    let mut all: Vec<T> = Vec::new();
    loop {
        let found = page(all.last().map(&key), PAGE).await?;
        let last = found.len() < PAGE as usize;
        all.extend(found);
        if last {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everything_is_read_once() {
        for length in [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE] {
            let page = |after: Option<u32>, limit| async move {
                Ok((after.map_or(0, |after| after + 1)..length).take(limit as usize).collect())
            };
            assert_eq!(pages(page, |item| *item).await.unwrap(), (0..length).collect::<Vec<_>>());
        }
    }
}
