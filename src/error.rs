//! The one error type of the library.
//!
//! An [`Error`] is opaque and one word wide. Only the constructors here build it. They ask for the operation and the
//! path or object, so that an error without them cannot be written. Messages read `operation object: detail`, in lower
//! case and without a full stop; advice is a [`Error::hint`], which the binary prints on a line of its own.

use std::fmt;
use std::path::{Path, PathBuf};

/// The kind of an error, for callers to branch on. The binary maps each to an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// The named thing does not exist.
    NotFound,
    /// The named thing exists already.
    Exists,
    /// The request makes no sense as given.
    Invalid,
    /// Stored bytes are not what their id or checksum says.
    Corrupt,
    /// Written by a newer version, or impossible on this platform.
    Unsupported,
    /// The state has changed since, or two things claim the same path.
    Conflict,
    /// A limit was reached.
    Limit,
    /// The operating system refused.
    Io,
}

/// Result with the library's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// The error of every operation: kind, message, and a hint if there is one.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    source: Option<std::io::Error>,
}

impl Error {
    /// An error of the operating system in `operation` on `path`.
    pub fn io(operation: &str, path: impl AsRef<Path>, source: impl Into<std::io::Error>) -> Self {
        let source = source.into();
        let kind = match source.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        let path = shown(path.as_ref());
        Self::build(kind, format!("{operation} {path}: {}", plain(&source)), Some(source))
    }

    /// Damage in stored bytes: `operation` on `object` failed because of `detail`.
    pub fn corrupt(operation: &str, object: impl fmt::Display, detail: impl fmt::Display) -> Self {
        Self::build(ErrorKind::Corrupt, format!("{operation} {object}: {detail}"), None)
    }

    /// An error of another kind: `operation` on `object` failed because of `detail`.
    pub fn new(kind: ErrorKind, operation: &str, object: impl fmt::Display, detail: impl fmt::Display) -> Self {
        Self::build(kind, format!("{operation} {object}: {detail}"), None)
    }

    /// The same error with `operation` on `object` before it, for example the object whose pack is damaged.
    #[must_use]
    pub fn during(mut self, operation: &str, object: impl fmt::Display) -> Self {
        self.0.message = format!("{operation} {object}: {}", self.0.message);
        self
    }

    /// Adds advice: one sentence without a full stop.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Advice on what to try next, if there is any.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The kind of the operating system's error, if there is one.
    pub fn io_kind(&self) -> Option<std::io::ErrorKind> {
        self.0.source.as_ref().map(std::io::Error::kind)
    }

    fn build(kind: ErrorKind, message: String, source: Option<std::io::Error>) -> Self {
        Self(Box::new(Inner { kind, message, hint: None, source }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}

/// The value of a result; `None` if it is corrupt. Other errors, such as those of the system, stay errors.
pub fn unless_corrupt<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
        result => result.map(Some),
    }
}

/// A path for a message, escaped where it is not text.
pub fn shown(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    crate::path::escaped(PathBuf::from(path).as_os_str().as_bytes())
}

/// The operating system's text, without `(os error 2)` and the initial capital.
fn plain(source: &std::io::Error) -> String {
    let text = source.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => "unknown error".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, ErrorKind};

    #[test]
    fn messages_name_operation_object_and_detail() {
        let error = Error::io("open", "/no/such\n", std::io::Error::from_raw_os_error(2));
        assert_eq!(error.to_string(), r"open /no/such\n: no such file or directory");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
