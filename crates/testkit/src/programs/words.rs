//! Arguments and environments in memory, also in places that are hard to read.

use std::ffi::CString;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::ptr;

use anyhow::{Context as _, ensure};

/// One argument or variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// In ordinary memory.
    Plain(Vec<u8>),
    /// In a page of a mapped file that nobody has touched.
    ColdPage(Vec<u8>),
    /// So that its NUL is the last byte before a page that is not mapped.
    PageEdge(Vec<u8>),
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self::Plain(text.as_bytes().to_vec())
    }
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self::Plain(text.into_bytes())
    }
}

impl From<Vec<u8>> for Word {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Plain(bytes)
    }
}

/// Pages that are unmapped when no longer needed.
struct Pages {
    at: *mut libc::c_void,
    length: usize,
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by us, and nothing points into it after its owner is gone.
        unsafe { libc::munmap(self.at, self.length) };
    }
}

enum Memory {
    /// Owned only to keep the pointers valid.
    String(#[expect(dead_code, reason = "pointed into")] CString),
    Pages(#[expect(dead_code, reason = "pointed into")] Pages),
}

/// A list of words as the kernel wants it.
pub struct Words {
    pointers: Vec<*const libc::c_char>,
    _memory: Vec<Memory>,
}

impl Words {
    /// Lays words out in memory.
    ///
    /// # Errors
    /// A word holds a NUL, or memory cannot be had.
    pub fn new(words: &[Word]) -> anyhow::Result<Self> {
        let mut memory = Vec::with_capacity(words.len());
        let mut pointers = Vec::with_capacity(words.len() + 1);
        for word in words {
            let (pointer, owner) = match word {
                Word::Plain(bytes) => {
                    let string = CString::new(bytes.clone()).context("a word holds a NUL")?;
                    (string.as_ptr(), Memory::String(string))
                }
                Word::ColdPage(bytes) => {
                    let pages = cold_page(bytes)?;
                    (pages.at.cast_const().cast(), Memory::Pages(pages))
                }
                Word::PageEdge(bytes) => page_edge(bytes)?,
            };
            pointers.push(pointer);
            memory.push(owner);
        }
        pointers.push(ptr::null());
        Ok(Self {
            pointers,
            _memory: memory,
        })
    }

    pub(super) fn as_ptr(&self) -> *const *const libc::c_char {
        self.pointers.as_ptr()
    }
}

fn page_bytes() -> usize {
    rustix::param::page_size()
}

fn with_nul(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    ensure!(bytes.len() < page_bytes(), "the word does not fit a page");
    Ok([bytes, b"\0"].concat())
}

fn map(length: usize, protection: i32, flags: i32, file: i32) -> anyhow::Result<Pages> {
    // SAFETY: a new mapping at an address of the kernel's choice touches no memory in use.
    let at = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, file, 0) };
    if at == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error()).context("cannot map memory");
    }
    Ok(Pages { at, length })
}

fn cold_page(bytes: &[u8]) -> anyhow::Result<Pages> {
    let mut file: File = tempfile::tempfile().context("cannot make a file to map")?;
    file.write_all(&with_nul(bytes)?)
        .context("cannot fill a file to map")?;
    file.sync_all().context("cannot write a file to map back")?;
    // SAFETY: the descriptor is open; the call only advises.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    map(
        page_bytes(),
        libc::PROT_READ,
        libc::MAP_PRIVATE,
        file.as_raw_fd(),
    )
}

fn page_edge(bytes: &[u8]) -> anyhow::Result<(*const libc::c_char, Memory)> {
    let text = with_nul(bytes)?;
    let page = page_bytes();
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // The second page stays mapped without any right, so that nothing else lands there.
    let pages = map(2 * page, libc::PROT_NONE, flags, -1)?;
    // SAFETY: the first page is ours alone; it is made writable before it is written, and the text
    // ends where the page ends.
    let at = unsafe {
        ensure!(
            libc::mprotect(pages.at, page, libc::PROT_READ | libc::PROT_WRITE) == 0,
            "cannot make a page writable"
        );
        let at = pages.at.cast::<u8>().add(page - text.len());
        ptr::copy_nonoverlapping(text.as_ptr(), at, text.len());
        at
    };
    Ok((at.cast_const().cast(), Memory::Pages(pages)))
}
