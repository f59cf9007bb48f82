//! The lock files that this process holds, so that programs it starts can hold them, too.

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError, Weak};

static HELD: Mutex<Vec<Weak<File>>> = Mutex::new(Vec::new());

/// Remembers a lock file for as long as it is held.
pub(crate) fn remember(file: &Arc<File>) {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    held.retain(|file| file.strong_count() > 0);
    held.push(Arc::downgrade(file));
}

/// Returns the lock files that are held.
pub(crate) fn files() -> Vec<Arc<File>> {
    let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    held.iter().filter_map(Weak::upgrade).collect()
}
