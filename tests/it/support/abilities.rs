//! Abilities that the tests rely on and that the code for systems other than Linux does not have. With the feature
//! `portable`, Linux runs that code too, and a test that needs such an ability asks for it here.

/// True if the code under test is the code for Linux.
const IS_LINUX: bool = cfg!(all(target_os = "linux", not(feature = "portable")));

/// True if a mount that shows another folder of the same file system is recognised. Elsewhere only device numbers show
/// mounts, and these are equal; macOS has no such mounts.
pub(crate) fn recognises_bind_mounts() -> bool {
    IS_LINUX
}

/// True if the kind of a file system is known. Elsewhere every one is taken for one whose times may lie, so more is
/// read again at each step, and a restore tries names before it begins.
pub(crate) fn knows_file_systems() -> bool {
    IS_LINUX
}
