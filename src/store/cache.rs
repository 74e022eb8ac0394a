//! Decoded bytes kept for a while, up to a number of bytes: frames while their members are read one after another, and
//! the versions at the forks of delta chains.
//!
//! Least recently used goes first, told by a counter; a scan over the few hundred entries that fit finds it, so there
//! is no list to keep in order.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Byte strings by key.
#[derive(Debug)]
pub(super) struct ByteCache<K> {
    inner: Mutex<Inner<K>>,
    capacity_bytes: usize,
}

#[derive(Debug)]
struct Inner<K> {
    entries: HashMap<K, (Arc<Vec<u8>>, u64)>,
    held_bytes: usize,
    clock: u64,
}

/// What an entry costs beside its bytes.
const OVERHEAD_BYTES: usize = 128;

impl<K: Copy + Eq + Hash> ByteCache<K> {
    /// Holds up to `capacity_bytes`.
    pub(super) fn new(capacity_bytes: usize) -> Self {
        let inner = Inner { entries: HashMap::new(), held_bytes: 0, clock: 0 };
        Self { inner: Mutex::new(inner), capacity_bytes }
    }

    /// What is kept for `key`.
    pub(super) fn get(&self, key: &K) -> Option<Arc<Vec<u8>>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let clock = inner.clock;
        let (bytes, used) = inner.entries.get_mut(key)?;
        *used = clock;
        Some(Arc::clone(bytes))
    }

    /// Keeps `bytes` for `key`, and drops what was not used for longest; bytes over a quarter of it all are not kept.
    pub(super) fn put(&self, key: K, bytes: Arc<Vec<u8>>) {
        if bytes.len() > self.capacity_bytes / 4 {
            return;
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let entry = (bytes, inner.clock);
        inner.held_bytes += entry.0.len() + OVERHEAD_BYTES;
        if let Some((old, _)) = inner.entries.insert(key, entry) {
            inner.held_bytes -= old.len() + OVERHEAD_BYTES;
        }
        if inner.held_bytes > self.capacity_bytes {
            inner.shrink(self.capacity_bytes / 4 * 3);
        }
    }
}

impl<K: Copy + Eq + Hash> Inner<K> {
    /// Drops the least recently used entries until at most `target_bytes` are held.
    fn shrink(&mut self, target_bytes: usize) {
        let mut ages: Vec<(u64, K)> = self.entries.iter().map(|(key, (_, used))| (*used, *key)).collect();
        ages.sort_unstable_by_key(|(used, _)| *used);
        for (_, key) in ages {
            if self.held_bytes <= target_bytes {
                break;
            }
            if let Some((bytes, _)) = self.entries.remove(&key) {
                self.held_bytes -= bytes.len() + OVERHEAD_BYTES;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ByteCache;

    #[test]
    fn the_least_recently_used_go_first_and_the_bound_holds() {
        let cache = ByteCache::new(100_000);
        for key in 0..100_u32 {
            cache.put(key, vec![0; 5_000].into());
            cache.get(&0);
        }
        assert!(cache.get(&0).is_some() && cache.get(&99).is_some() && cache.get(&1).is_none());
        let inner = cache.inner.lock().unwrap();
        assert!(inner.held_bytes <= 100_000);
        assert_eq!(inner.held_bytes, inner.entries.len() * (5_000 + super::OVERHEAD_BYTES));
    }
}
