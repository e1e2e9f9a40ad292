//! What the allocator keeps for itself.
//!
//! A batch is worked on in many short-lived pieces, on a thread for each connection of the database and
//! several more. glibc gives each thread an arena, and keeps what was freed in each: the console would
//! hold several times what it uses.

/// Asks the allocator for few arenas, and to give large pieces back at once. To be called before threads
/// are started; where the allocator is another one, nothing happens.
pub fn keep_small() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// Two threads work at a time on the machine that this is measured on.
        const ARENAS: libc::c_int = 2;
        /// As glibc begins with; without this it grows with what is freed, up to 32 MiB (mallopt(3)).
        const LARGE_BYTES: libc::c_int = 128 << 10;
        for (what, value) in [
            (libc::M_ARENA_MAX, ARENAS),
            (libc::M_MMAP_THRESHOLD, LARGE_BYTES),
            (libc::M_TRIM_THRESHOLD, 2 * LARGE_BYTES),
        ] {
            // SAFETY: mallopt may be called at any time; what it refuses stays as it was.
            unsafe {
                libc::mallopt(what, value);
            }
        }
    }
}
