//! One exec made ready: what is called, with what, and in which surroundings.

use std::ffi::CString;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::ptr;

use anyhow::{Context as _, ensure};
use rustix::process::Pid;

use super::{EXEC_FAILED, NOT_TRIED, RELAYED_KILL, WITNESS_FD, Word, Words};

/// From `linux/personality.h`.
const PER_LINUX32: libc::c_ulong = 8;

/// How the kernel is called.
#[derive(Debug)]
pub enum Call {
    /// `execve` of a path.
    Path(PathBuf),
    /// `execveat` of a descriptor and an empty path.
    Descriptor(OwnedFd),
    /// `execve` of `/proc/self/fd/…`, as `fexecve` does without `execveat`.
    ProcDescriptor(OwnedFd),
}

/// The surroundings in which it is called.
#[derive(Debug)]
pub enum Circumstance {
    /// A child of the test.
    Plain,
    /// By a thread of the child that is not its leader.
    Thread,
    /// By `posix_spawn`: as after `vfork`, the child shares the parent's memory until the exec.
    Spawn,
    /// As another user.
    User(u32),
    /// With another root.
    Root(PathBuf),
    /// With the personality of a 32-bit machine.
    Linux32,
    /// Under a tracer that stops it at each system call.
    Traced,
    /// As the first process of new user, process and mount namespaces.
    FirstOfNamespace,
    /// As a later process of new user, process and mount namespaces.
    InNamespace,
    /// With this limit on the stack, of which a quarter may be arguments.
    StackLimit(u64),
    /// In the cgroup whose opened `cgroup.procs` this is.
    Cgroup(OwnedFd),
}

/// An exec made ready once; it may be run many times.
pub struct Launch {
    call: Call,
    path: CString,
    root: CString,
    arguments: Words,
    environment: Words,
    circumstance: Circumstance,
}

/// What a thread of the child needs, and what came of it.
struct ThreadExec {
    launch: *const Launch,
    errno: i32,
}

impl Launch {
    /// Prepares an exec of a path.
    ///
    /// # Errors
    /// A word or the path holds a NUL, or memory cannot be had.
    pub fn of(path: &Path, arguments: &[Word], environment: &[Word]) -> anyhow::Result<Self> {
        Self::new(
            Call::Path(path.to_owned()),
            arguments,
            environment,
            Circumstance::Plain,
        )
    }

    /// Prepares an exec.
    ///
    /// # Errors
    /// A word or a path holds a NUL, or memory cannot be had.
    pub fn new(
        call: Call,
        arguments: &[Word],
        environment: &[Word],
        circumstance: Circumstance,
    ) -> anyhow::Result<Self> {
        let c_path =
            |path: &Path| CString::new(path.as_os_str().as_bytes()).context("a path holds a NUL");
        let path = match &call {
            Call::Path(path) => c_path(path)?,
            Call::Descriptor(_) => CString::default(),
            Call::ProcDescriptor(file) => {
                c_path(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())))?
            }
        };
        let root = match &circumstance {
            Circumstance::Root(root) => c_path(root)?,
            _ => CString::default(),
        };
        Ok(Self {
            call,
            path,
            root,
            arguments: Words::new(arguments)?,
            environment: Words::new(environment)?,
            circumstance,
        })
    }

    pub(super) fn is_traced(&self) -> bool {
        matches!(self.circumstance, Circumstance::Traced)
    }

    pub(super) fn is_relayed(&self) -> bool {
        matches!(self.circumstance, Circumstance::InNamespace)
    }

    /// Starts the process, with `writer` as its witness descriptor.
    pub(super) fn start(&self, writer: RawFd) -> anyhow::Result<Pid> {
        const NAMESPACES: i32 = libc::CLONE_NEWUSER | libc::CLONE_NEWPID | libc::CLONE_NEWNS;
        let child = match &self.circumstance {
            Circumstance::Spawn => return self.spawn(writer),
            Circumstance::FirstOfNamespace | Circumstance::InNamespace => {
                // SAFETY: as for fork below.
                unsafe { clone(NAMESPACES) }
            }
            // SAFETY: the child does system calls on prepared memory, or starts a thread, which
            // glibc allows after its own fork; it leaves by exec or _exit.
            _ => unsafe { libc::fork() },
        };
        if child == 0 {
            self.child(writer);
        }
        Pid::from_raw(child)
            .filter(|_| child > 0)
            .with_context(|| format!("cannot fork: {}", std::io::Error::last_os_error()))
    }

    /// The child's part. Does nothing but system calls, and never returns.
    fn child(&self, writer: RawFd) -> ! {
        // SAFETY: every pointer leads to memory that self owns and that ends as the call wants it;
        // no call returns to Rust code that would notice the fork.
        unsafe {
            if libc::dup2(writer, WITNESS_FD) != WITNESS_FD {
                libc::_exit(NOT_TRIED);
            }
            let is_ready = match &self.circumstance {
                Circumstance::User(uid) => libc::setgid(*uid) == 0 && libc::setuid(*uid) == 0,
                Circumstance::Root(_) => {
                    libc::chroot(self.root.as_ptr()) == 0 && libc::chdir(c"/".as_ptr()) == 0
                }
                Circumstance::Linux32 => libc::personality(PER_LINUX32) >= 0,
                Circumstance::Traced => libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) == 0,
                Circumstance::StackLimit(bytes) => {
                    let limit = libc::rlimit {
                        rlim_cur: *bytes,
                        rlim_max: *bytes,
                    };
                    libc::setrlimit(libc::RLIMIT_STACK, &raw const limit) == 0
                }
                Circumstance::Cgroup(procs) => {
                    libc::write(procs.as_raw_fd(), c"0".as_ptr().cast(), 1) == 1
                }
                Circumstance::InNamespace => {
                    let inner = clone(0);
                    if inner != 0 {
                        relay(inner);
                    }
                    true
                }
                Circumstance::Plain
                | Circumstance::Thread
                | Circumstance::Spawn
                | Circumstance::FirstOfNamespace => true,
            };
            if !is_ready {
                libc::_exit(NOT_TRIED);
            }
            let errno = match self.circumstance {
                Circumstance::Thread => self.exec_in_thread(),
                _ => self.exec(),
            };
            libc::_exit(EXEC_FAILED + errno)
        }
    }

    /// Replaces this process, or says why not.
    ///
    /// # Safety
    /// To be called in a child that shares nothing that must survive.
    unsafe fn exec(&self) -> i32 {
        let (arguments, environment) = (self.arguments.as_ptr(), self.environment.as_ptr());
        // SAFETY: the arrays end with a null pointer and point to C strings owned by self.
        unsafe {
            match &self.call {
                Call::Path(_) | Call::ProcDescriptor(_) => {
                    libc::execve(self.path.as_ptr(), arguments, environment);
                }
                Call::Descriptor(file) => {
                    libc::syscall(
                        libc::SYS_execveat,
                        file.as_raw_fd(),
                        self.path.as_ptr(),
                        arguments,
                        environment,
                        libc::AT_EMPTY_PATH,
                    );
                }
            }
            *libc::__errno_location()
        }
    }

    /// # Safety
    /// As for [`Launch::exec`].
    unsafe fn exec_in_thread(&self) -> i32 {
        extern "C" fn thread(data: *mut libc::c_void) -> *mut libc::c_void {
            // SAFETY: the pointer is to the leader's stack frame, which waits for this thread.
            unsafe {
                let data = data.cast::<ThreadExec>();
                (*data).errno = (*(*data).launch).exec();
            }
            ptr::null_mut()
        }
        let mut data = ThreadExec {
            launch: self,
            errno: 0,
        };
        let mut handle = 0;
        // SAFETY: the data outlives the thread, which is joined below.
        unsafe {
            let made =
                libc::pthread_create(&raw mut handle, ptr::null(), thread, (&raw mut data).cast());
            if made == 0 {
                libc::pthread_join(handle, ptr::null_mut());
            }
        }
        data.errno
    }

    fn spawn(&self, writer: RawFd) -> anyhow::Result<Pid> {
        let mut pid = 0;
        // SAFETY: the actions are initialised before use and destroyed after it; path, arguments
        // and environment are C strings and arrays owned by self.
        let failed = unsafe {
            let mut actions = std::mem::MaybeUninit::uninit();
            let made = libc::posix_spawn_file_actions_init(actions.as_mut_ptr());
            ensure!(made == 0, "cannot prepare posix_spawn");
            libc::posix_spawn_file_actions_adddup2(actions.as_mut_ptr(), writer, WITNESS_FD);
            let failed = libc::posix_spawn(
                &raw mut pid,
                self.path.as_ptr(),
                actions.as_ptr(),
                ptr::null(),
                self.arguments.as_ptr().cast(),
                self.environment.as_ptr().cast(),
            );
            libc::posix_spawn_file_actions_destroy(actions.as_mut_ptr());
            failed
        };
        ensure!(failed == 0, "posix_spawn failed with errno {failed}");
        Pid::from_raw(pid).context("posix_spawn gave no pid")
    }
}

/// A child by the bare system call, without glibc's handlers.
///
/// # Safety
/// The child may do nothing but system calls, and must leave by exec or `_exit`.
#[inline(always)]
unsafe fn clone(flags: i32) -> i32 {
    let flags = libc::c_long::from(flags | libc::SIGCHLD);
    // SAFETY: without a stack of its own the child goes on on a copy of this one.
    unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) as i32 }
}

/// The first process of a namespace: waits for its child and leaves as it did.
///
/// # Safety
/// To be called in a forked child.
unsafe fn relay(inner: i32) -> ! {
    // SAFETY: the status is ours to write; the process leaves here.
    unsafe {
        let mut status = 0;
        if inner < 0 || libc::waitpid(inner, &raw mut status, 0) != inner {
            libc::_exit(NOT_TRIED);
        }
        if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL {
            libc::_exit(RELAYED_KILL);
        }
        libc::_exit(libc::WEXITSTATUS(status))
    }
}
