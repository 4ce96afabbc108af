//! From a portable component to an artefact, in a process that has nothing to lose.
//!
//! The compiler is the largest piece of code that reads what somebody shipped. It runs in a short-lived child without
//! files, without privileges and with bounded memory and time; an agent, or a site, itself never maps its pages.

use crate::artefact::Artefact;
#[cfg(feature = "cross")]
use crate::engine::EngineId;
use crate::engine::{Product, Profile};
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
/// The argument that makes a program of ours the compiler of another one of its kind.
const COMPILE_COMPONENT: &str = "compile-component";

/// Who compiles.
#[derive(Debug, Clone)]
pub enum Compiler {
    /// This process. For tests and tools: it has no protection and pays for the compiler's memory.
    InProcess,
    /// A child: this program with these arguments does nothing but call [`serve_child`] with its standard input and
    /// output. It gets an empty environment. Usually it is [this program](Compiler::this_program).
    Child {
        /// The program.
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
    /// A child that is this very program, also when an update has put another one in its place. Its `main` has to begin
    /// with [`serve_if_child`].
    #[must_use]
    pub fn this_program() -> Self {
        Self::Child { program: PathBuf::from("/proc/self/exe"), arguments: vec![COMPILE_COMPONENT.into()] }
    }

    /// Compiles a component for this machine.
    ///
    /// # Errors
    /// When the component is not valid, or the compiler does not come to an end within its limits.
    pub fn compile(&self, profile: Profile, component: &[u8], limits: &Limits) -> Result<Artefact, CompileError> {
        Ok(Artefact::compiled(self.make(profile.into(), component, limits)?))
    }

    /// Compiles a component for an engine of any machine: what a site signs and an agent without a compiler runs. The
    /// same component always makes the same bytes.
    ///
    /// # Errors
    /// As [`Compiler::compile`].
    #[cfg(feature = "cross")]
    pub fn precompile(&self, engine: EngineId, component: &[u8], limits: &Limits) -> Result<Vec<u8>, CompileError> {
        self.make(Product::For(engine), component, limits)
    }

    fn make(&self, product: Product, component: &[u8], limits: &Limits) -> Result<Vec<u8>, CompileError> {
        let most = component.len().saturating_mul(MAX_ARTEFACT_FACTOR).saturating_add(SMALL_ARTEFACT_BYTES);
        let limit = limits.artefact_bytes.min(most);
        let bytes = match self {
            Self::InProcess => compile_here(product, component)?,
            Self::Child { program, arguments } => {
                let mut command = Command::new(program);
                compile_in_child(command.args(arguments), product, component, limit)?
            }
        };
        if bytes.len() > limit {
            return Err(CompileError::TooLarge { limit });
        }
        Ok(bytes)
    }
}

/// Serves as [`Compiler::this_program`], if that is what this process was started for.
///
/// Call it first thing in `main`, before any thread is started and any file is opened: this process is to have nothing
/// to lose. On an error, print it to standard error and exit with a status other than 0.
pub fn serve_if_child() -> Option<Result<(), CompileError>> {
    let is_child = std::env::args_os().nth(1).is_some_and(|argument| argument == COMPILE_COMPONENT);
    is_child.then(|| serve_child(io::stdin(), io::stdout()))
}

/// The child's side of [`Compiler::Child`]: gives up every privilege, then compiles `input` to `output`. As with
/// [`serve_if_child`], nothing comes before it.
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
    let product = Product::from_id(&id)
        .ok_or_else(|| CompileError::Refused(format!("this program does not compile for `{id}`: restart farrier")))?;
    let mut component = Vec::new();
    input.take(MAX_INPUT_BYTES).read_to_end(&mut component).map_err(read_error)?;
    let artefact = compile_here(product, &component)?;
    output
        .write_all(&artefact)
        .and_then(|()| output.flush())
        .map_err(|error| CompileError::Process("write the artefact", error))
}

fn compile_here(product: Product, component: &[u8]) -> Result<Vec<u8>, CompileError> {
    let refused = |error: wasmtime::Error| CompileError::Refused(printable(&format!("{error:#}"), 512));
    product.compiling_engine().map_err(refused)?.precompile_component(component).map_err(refused)
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
    product: Product,
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
    let outcome = converse(&mut child, request(product, component), max_bytes, deadline)
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

// The id of the product behind its length, then the component.
fn request(product: Product, component: &[u8]) -> Vec<u8> {
    let id = product.id();
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

#[cfg(all(test, feature = "cross"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_compiled_here_is_what_a_site_compiles_for_this_machine() {
        let dpkg = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/dist/dpkg.wasm");
        let (component, limits) = (std::fs::read(dpkg).unwrap(), Limits::default());
        for profile in Profile::ALL {
            let here = Compiler::InProcess.compile(profile, &component, &limits).unwrap();
            let site = Compiler::InProcess.precompile(profile.engine().unwrap(), &component, &limits).unwrap();
            assert!(here.bytes() == site, "{profile:?}: it depends on the processor of this machine");
        }
    }
}
