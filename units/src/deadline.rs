//! Tells whether there is time for more work. The generator, whose time is limited, reads the clock; the library does
//! not.

/// A piece of work that takes tens of milliseconds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Reading an intent of an ordinary size.
    SmallFile,
    /// Reading a larger one. They come last, so that they take no time from the others.
    LargeFile,
    /// Planning a container; those before it are written by then.
    Plan,
}

/// Returns whether there is still time for some work.
pub type InTime<'a> = &'a (dyn Fn(Work) -> bool + Sync);

/// Always returns true.
pub fn unlimited(_: Work) -> bool {
    true
}
