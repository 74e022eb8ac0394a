//! Values kept in memory up to a total cost: decoded frames, versions at the forks of delta chains, headers of records.
//!
//! The least recently used value goes first. A counter gives the order; a scan of the few hundred entries that fit
//! finds the oldest, so no list has to be kept in order.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Values by key.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    inner: Mutex<Inner<K, V>>,
    capacity_bytes: usize,
}

#[derive(Debug)]
struct Inner<K, V> {
    /// Each value with its cost in bytes, and the time of its last use.
    entries: HashMap<K, (V, usize, u64)>,
    held_bytes: usize,
    clock: u64,
}

/// The cost of an entry beside its value, in bytes.
const OVERHEAD_BYTES: usize = 128;

impl<K: Copy + Eq + Hash, V: Clone> Cache<K, V> {
    /// A cache that holds values of up to `capacity_bytes` in all.
    pub(super) fn new(capacity_bytes: usize) -> Self {
        let inner = Inner { entries: HashMap::new(), held_bytes: 0, clock: 0 };
        Self { inner: Mutex::new(inner), capacity_bytes }
    }

    /// The value of `key`.
    pub(super) fn get(&self, key: &K) -> Option<V> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let clock = inner.clock;
        let (value, _, used) = inner.entries.get_mut(key)?;
        *used = clock;
        Some(value.clone())
    }

    /// Keeps a value of `bytes` for `key`, unless it is longer than a quarter of the capacity, and drops the values
    /// that were not used for longest.
    pub(super) fn put(&self, key: K, value: V, bytes: usize) {
        if bytes > self.capacity_bytes / 4 {
            return;
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        inner.held_bytes += bytes + OVERHEAD_BYTES;
        let entry = (value, bytes, inner.clock);
        if let Some((_, old_bytes, _)) = inner.entries.insert(key, entry) {
            inner.held_bytes -= old_bytes + OVERHEAD_BYTES;
        }
        if inner.held_bytes > self.capacity_bytes {
            inner.shrink(self.capacity_bytes / 4 * 3);
        }
    }
}

impl<K: Copy + Eq + Hash, V> Inner<K, V> {
    /// Drops the least recently used entries until at most `target_bytes` are held.
    fn shrink(&mut self, target_bytes: usize) {
        let mut ages: Vec<(u64, K)> = self.entries.iter().map(|(key, (.., used))| (*used, *key)).collect();
        ages.sort_unstable_by_key(|(used, _)| *used);
        for (_, key) in ages {
            if self.held_bytes <= target_bytes {
                break;
            }
            if let Some((_, bytes, _)) = self.entries.remove(&key) {
                self.held_bytes -= bytes + OVERHEAD_BYTES;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cache, OVERHEAD_BYTES};

    #[test]
    fn the_least_recently_used_go_first_and_the_bound_holds() {
        let cache = Cache::new(100_000);
        for key in 0..100_u32 {
            cache.put(key, key, 5_000);
            cache.get(&0);
        }
        assert_eq!((cache.get(&0), cache.get(&99), cache.get(&1)), (Some(0), Some(99), None));
        cache.put(1, 1, 25_001);
        assert_eq!(cache.get(&1), None, "it is too long");
        let inner = cache.inner.lock().unwrap();
        assert!(inner.held_bytes <= 100_000);
        assert_eq!(inner.held_bytes, inner.entries.len() * (5_000 + OVERHEAD_BYTES));
    }
}
