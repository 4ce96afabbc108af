//! From a portable component to an artefact of this machine, in a process that has nothing to lose.
//!
//! The compiler is the largest piece of code that reads what a site shipped. It runs in a short-lived child without
//! files, without privileges and with bounded memory and time; the agent itself never maps its pages.

use crate::engine::Profile;
use crate::limits::Limits;
use crate::text::printable;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Seconds a child may take, by the clock and of the processor.
const MAX_COMPILE_SECONDS: u64 = 60;
/// Address space of a child.
const MAX_ADDRESS_SPACE_BYTES: u64 = 1 << 30;
/// Bytes of an artefact for each byte of its component, at most: what people write is compiled to some four.
const MAX_ARTEFACT_FACTOR: usize = 8;
/// Bytes of an artefact that are no matter, however small the component.
const SMALL_ARTEFACT_BYTES: usize = 1 << 20;
/// Bytes of a component a child reads; whoever starts it has its own, lower limit.
const MAX_INPUT_BYTES: u64 = 16 << 20;
/// Bytes of a child's message of failure.
const MAX_MESSAGE_BYTES: u64 = 4 << 10;
/// How often it is looked whether a child that has said everything has ended.
const CHILD_END_PERIOD: Duration = Duration::from_millis(1);
/// Who the child is when root starts it.
const NOBODY: u32 = 65_534;

/// A compiled component: bytes that the engine trusts blindly, which is why only this crate can make one.
pub struct Artefact {
    bytes: Vec<u8>,
    start: usize,
}

impl Artefact {
    /// What a compiler of ours has just written.
    fn compiled(bytes: Vec<u8>) -> Self {
        Self { bytes, start: 0 }
    }

    /// What the cache has authenticated, from `start` on.
    pub(crate) fn authenticated(bytes: Vec<u8>, start: usize) -> Self {
        Self { bytes, start }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// Who compiles.
#[derive(Debug, Clone)]
pub enum Compiler {
    /// This process. For tests and tools: it has no protection and pays for the compiler's memory.
    InProcess,
    /// A child: this program with these arguments does nothing but call [`serve_child`] with its standard input and
    /// output. It gets an empty environment.
    Child {
        /// The program, usually `/proc/self/exe`.
        program: PathBuf,
        /// What makes it a compiler.
        arguments: Vec<OsString>,
    },
}

/// Why a component was not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The compiler does not accept it.
    #[error("the compiler refused the component: {0}")]
    Refused(String),
    /// The artefact is larger than [`Limits::artefact_bytes`], or than a component of that size is ever compiled to.
    #[error("the compiled component has more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The child took too long.
    #[error("the compiler took longer than {MAX_COMPILE_SECONDS} s")]
    TimedOut,
    /// The child did not run, or its pipes broke.
    #[error("the compiler's process failed to {0}")]
    Process(&'static str, #[source] io::Error),
}

impl Compiler {
    /// Compiles a component.
    ///
    /// # Errors
    /// When the component is not valid, or the compiler does not come to an end within its limits.
    pub fn compile(&self, profile: Profile, component: &[u8], limits: &Limits) -> Result<Artefact, CompileError> {
        let most = component.len().saturating_mul(MAX_ARTEFACT_FACTOR).saturating_add(SMALL_ARTEFACT_BYTES);
        let limit = limits.artefact_bytes.min(most);
        let bytes = match self {
            Self::InProcess => compile_here(profile, component)?,
            Self::Child { program, arguments } => {
                let mut command = Command::new(program);
                compile_in_child(command.args(arguments), profile, component, limit)?
            }
        };
        if bytes.len() > limit {
            return Err(CompileError::TooLarge { limit });
        }
        Ok(Artefact::compiled(bytes))
    }
}

/// The child's side of [`Compiler::Child`]: gives up every privilege, then compiles `input` to `output`.
///
/// Call it first thing in `main`, before any thread is started and any file is opened. On an error, print it to standard
/// error and exit with a status other than 0.
///
/// # Errors
/// When the limits cannot be set or the component cannot be compiled.
pub fn serve_child(mut input: impl Read, mut output: impl Write) -> Result<(), CompileError> {
    confine().map_err(|error| CompileError::Process("confine itself", error.into()))?;
    let read_error = |error| CompileError::Process("read the component", error);
    let mut length = [0];
    input.read_exact(&mut length).map_err(read_error)?;
    let mut id = vec![0; usize::from(length[0])];
    input.read_exact(&mut id).map_err(read_error)?;
    let id = String::from_utf8_lossy(&id);
    let profile = Profile::from_id(&id)
        .ok_or_else(|| CompileError::Refused(format!("this program does not compile for `{id}`; restart the agent")))?;
    let mut component = Vec::new();
    input.take(MAX_INPUT_BYTES).read_to_end(&mut component).map_err(read_error)?;
    let artefact = compile_here(profile, &component)?;
    output
        .write_all(&artefact)
        .and_then(|()| output.flush())
        .map_err(|error| CompileError::Process("write the artefact", error))
}

fn compile_here(profile: Profile, component: &[u8]) -> Result<Vec<u8>, CompileError> {
    let refused = |error: wasmtime::Error| CompileError::Refused(printable(&format!("{error:#}"), 512));
    profile.compiling_engine().map_err(refused)?.precompile_component(component).map_err(refused)
}

fn confine() -> rustix::io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    if rustix::process::geteuid().is_root() {
        leave_root();
    }
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, 0),
        (Resource::Nproc, 0),
        (Resource::Cpu, MAX_COMPILE_SECONDS),
        (Resource::As, MAX_ADDRESS_SPACE_BYTES),
    ] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

// In a container root may be unable to become anybody else; then it is no more than root of that container.
fn leave_root() {
    use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    let _ = set_thread_groups(&[]);
    let _ = set_thread_res_gid(gid, gid, gid);
    let _ = set_thread_res_uid(uid, uid, uid);
}

fn compile_in_child(
    command: &mut Command,
    profile: Profile,
    component: &[u8],
    max_bytes: usize,
) -> Result<Vec<u8>, CompileError> {
    let mut child = command
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| CompileError::Process("start", error))?;
    let deadline = Instant::now() + Duration::from_secs(MAX_COMPILE_SECONDS);
    let outcome = converse(&mut child, request(profile, component), max_bytes, deadline)
        .and_then(|answer| Ok((answer, ended(&mut child, deadline)?)));
    // Whatever came of it, the child is over; these fail if it is so already.
    let _ = child.kill();
    let _ = child.wait();
    match outcome? {
        ((artefact, _), _) if artefact.len() > max_bytes => Err(CompileError::TooLarge { limit: max_bytes }),
        ((artefact, _), status) if status.success() && !artefact.is_empty() => Ok(artefact),
        ((_, message), status) => Err(CompileError::Refused(last_words(&message, status))),
    }
}

// Profile id behind its length, then the component.
fn request(profile: Profile, component: &[u8]) -> Vec<u8> {
    let id = profile.id();
    let mut request = Vec::with_capacity(1 + id.len() + component.len());
    request.push(u8::try_from(id.len()).unwrap_or(0));
    request.extend_from_slice(id.as_bytes());
    request.extend_from_slice(component);
    request
}

/// Writes the request while reading what comes back, so that no child can block its parent.
fn converse(
    child: &mut Child,
    request: Vec<u8>,
    max_bytes: usize,
    deadline: Instant,
) -> Result<(Vec<u8>, Vec<u8>), CompileError> {
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(CompileError::Process("open its pipes", io::ErrorKind::BrokenPipe.into()));
    };
    // A child that ends early says why on standard error; the broken pipe here is only the consequence.
    std::thread::spawn(move || stdin.write_all(&request));
    let artefact = read_bounded(stdout, max_bytes as u64 + 1);
    let message = read_bounded(stderr, MAX_MESSAGE_BYTES);
    Ok((receive(&artefact, deadline)?, receive(&message, deadline)?))
}

fn read_bounded(pipe: impl Read + Send + 'static, max_bytes: u64) -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = pipe.take(max_bytes).read_to_end(&mut bytes);
        // Nobody listens any more when the time was up.
        let _ = sender.send(read.map(|_| bytes));
    });
    receiver
}

fn receive(pipe: &Receiver<io::Result<Vec<u8>>>, deadline: Instant) -> Result<Vec<u8>, CompileError> {
    match pipe.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(bytes) => bytes.map_err(|error| CompileError::Process("answer", error)),
        Err(RecvTimeoutError::Timeout) => Err(CompileError::TimedOut),
        Err(RecvTimeoutError::Disconnected) => Err(CompileError::Process("answer", io::ErrorKind::BrokenPipe.into())),
    }
}

// Its pipes are closed, so it ends now, or it means no good.
fn ended(child: &mut Child, deadline: Instant) -> Result<ExitStatus, CompileError> {
    loop {
        match child.try_wait().map_err(|error| CompileError::Process("end", error))? {
            Some(status) => return Ok(status),
            None if Instant::now() >= deadline => return Err(CompileError::TimedOut),
            None => std::thread::sleep(CHILD_END_PERIOD),
        }
    }
}

fn last_words(message: &[u8], status: ExitStatus) -> String {
    match printable(&String::from_utf8_lossy(message), 512) {
        silent if silent.trim().is_empty() => format!("it ended without an answer ({status})"),
        message => message,
    }
}
