//! Programs of the endpoint, as a guest runs them: what it asks for is compared with the grants as a whole, and only then
//! anything happens.

use super::content::{Content, ContentError, CopyError};
use super::copies::Copies;
use super::error::InstallCall;
use super::program::{Ended, run};
use super::time::{Stop, Time};
use super::watch::Watch;
use super::world::{State, process};
use crate::endpoint::Endpoint;
use crate::facts::told;
use crate::grants::{Call, RunGrants, normalize};
use crate::limits::Limits;
use crate::observe::{HostCall, ProgramCall, ProgramExit, Programs};
use crate::world::types::Error;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use wasmtime::component::{Resource, ResourceTable};

/// Where programs look for others.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The language of programs: what they write is parsed, and is UTF-8.
const LOCALE: &str = "C.UTF-8";
/// Where the program is that gives another one another root.
const CHROOT: [&str; 4] = ["/usr/sbin/chroot", "/usr/bin/chroot", "/sbin/chroot", "/bin/chroot"];

/// Outside: what ends the guest. Inside: what the guest is told.
type Answer<T> = wasmtime::Result<Result<T, Error>>;

/// A program in a guest's hands.
pub struct OpenProgram {
    /// Its normalized path.
    path: String,
}

/// The programs one guest may run.
pub(crate) struct Processes {
    endpoint: Endpoint,
    grants: RunGrants,
    call: InstallCall,
    open: ResourceTable,
    most_open: usize,
}

/// A command whose contents are known.
struct Wanted {
    program: String,
    /// The arguments; a content stands for the path of its copy.
    arguments: Vec<Result<String, Content>>,
    environment: Vec<(String, String)>,
    input: Vec<u8>,
    time: Option<Duration>,
}

impl Processes {
    pub(super) fn new(endpoint: &Endpoint, grants: RunGrants, call: InstallCall, limits: &Limits) -> Self {
        let mut open = ResourceTable::new();
        open.set_max_capacity(limits.open_targets);
        Self { endpoint: endpoint.clone(), grants, call, open, most_open: limits.open_targets }
    }

    /// The program, if some use of it is granted and it is there.
    fn open(&mut self, path: &str, time: &Time) -> Answer<Resource<OpenProgram>> {
        if let Err(error) = self.check_program(path) {
            return Ok(Err(error));
        }
        if let Err(error) = self.find(path, time)? {
            return Ok(Err(error));
        }
        let too_many = format!("{path}: more than {} programs open", self.most_open);
        Ok(self.open.push(OpenProgram { path: path.to_owned() }).map_err(|_| Error::TooLarge(too_many)))
    }

    /// Whether some use of it is granted, in this call.
    fn check_program(&self, path: &str) -> Result<(), Error> {
        self.call.check_opens()?;
        match normalize(path) {
            Ok(normalized) if normalized == path => {}
            Ok(_) => return Err(Error::Invalid(format!("`{}` is no normalized path", path.escape_default()))),
            Err(problem) => return Err(Error::Invalid(problem)),
        }
        self.grants.check_program(path).map_err(|denial| Error::Denied(denial.to_string()))
    }

    /// Whether it is there. Whoever stands in for programs has any.
    fn find(&self, path: &str, time: &Time) -> Answer<()> {
        if self.endpoint.programs().is_some() {
            return Ok(Ok(()));
        }
        let program = path.to_owned();
        let found = self.endpoint.within(time.last_end(), move |root| root.open_regular(&program).map(drop))?;
        Ok(match found {
            // That it cannot be read does not mean that it cannot be run.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidInput) =>
            {
                Err(Error::NotFound(format!("{path}: {error}")))
            }
            _ => Ok(()),
        })
    }

    fn run(&self, wanted: &Wanted, time: &Time, limits: &Limits, watch: &mut Watch) -> Answer<Ended> {
        if let Err(error) = wanted.check(limits).and_then(|()| self.check(wanted)).and_then(|()| time.check()) {
            return Ok(Err(error));
        }
        if let Some(programs) = self.endpoint.programs() {
            return Ok(wanted.run_by(programs, limits, watch));
        }
        if let Err(error) = self.find(&wanted.program, time)? {
            return Ok(Err(error));
        }
        // Held until the program has ended, however it did.
        let copies = match self.copies(wanted, time)? {
            Ok(copies) => copies,
            Err(error) => return Ok(Err(error)),
        };
        let mut command = match command(self.endpoint.other_root(), &wanted.program) {
            Ok(command) => command,
            Err(error) => return Ok(Err(error)),
        };
        for argument in &wanted.arguments {
            match (argument, &copies) {
                (Ok(text), _) => command.arg(text),
                (Err(content), Some(copies)) => command.arg(copies.path(content)),
                (Err(_), None) => return Err(wasmtime::Error::msg("a content was not copied")),
            };
        }
        command.env_clear().env("PATH", PATH).env("LC_ALL", LOCALE).current_dir("/");
        command.envs(wanted.environment.iter().map(|(name, value)| (name, value)));
        let stop = Stop::of(wanted.time, time, limits);
        let ended = run(&mut command, &wanted.input, stop, limits, &mut |line| watch.line(line));
        Ok(ended.map_err(|error| Error::Other(format!("{} cannot be run: {error}", wanted.program))))
    }

    /// Whether the command is granted, as a whole.
    fn check(&self, wanted: &Wanted) -> Result<(), Error> {
        let arguments: Vec<_> =
            wanted.arguments.iter().map(|argument| argument.as_ref().ok().map(String::as_str)).collect();
        let call = Call {
            environment: &wanted.environment,
            program: &wanted.program,
            arguments: &arguments,
            input: !wanted.input.is_empty(),
        };
        self.grants.check_logged(&call).map_err(|denial| Error::Denied(denial.to_string()))
    }

    /// Copies of the contents among the arguments, if there are any.
    fn copies(&self, wanted: &Wanted, time: &Time) -> Answer<Option<Copies>> {
        let contents: Vec<_> =
            wanted.arguments.iter().filter_map(|argument| argument.as_ref().err().cloned()).collect();
        let Some(first) = contents.first() else { return Ok(Ok(None)) };
        let label = first.label().to_owned();
        let until = time.end();
        let made = self.endpoint.within(until, move |root| Ok(Copies::make(root, &contents, until)))?;
        match made.unwrap_or_else(|error| Err(CopyError::Target(error))) {
            Ok(copies) => Ok(Ok(Some(copies))),
            Err(CopyError::Content(error)) => Err(ContentError::into(error)),
            Err(error @ CopyError::Target(_)) => {
                let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                Ok(Err(Error::Other(format!("{label} and what belongs to it: {error}: {why}"))))
            }
        }
    }
}

impl Wanted {
    /// Looks up the contents among the arguments.
    fn of(program: &Resource<OpenProgram>, command: process::Command, state: &State) -> wasmtime::Result<Self> {
        let argument = |argument| match argument {
            process::Argument::Text(text) => Ok(Ok(text)),
            process::Argument::Blob(blob) => Ok(Err(state.contents.get(&blob)?.clone())),
        };
        Ok(Self {
            program: state.processes.open.get(program)?.path.clone(),
            arguments: command.arguments.into_iter().map(argument).collect::<wasmtime::Result<_>>()?,
            environment: command.environment,
            input: command.input,
            time: command.milliseconds.map(|milliseconds| Duration::from_millis(milliseconds.into())),
        })
    }

    /// Whether it is small enough, and no text has a byte that no text of a program may have.
    fn check(&self, limits: &Limits) -> Result<(), Error> {
        let texts = self.arguments.iter().filter_map(|argument| argument.as_ref().ok());
        let variables = self.environment.iter().flat_map(|(name, value)| [name, value]);
        let texts: Vec<_> = texts.chain(variables).collect();
        if texts.iter().any(|text| text.contains('\0')) {
            return Err(Error::Invalid(format!("{}: an argument or a variable has a zero byte", self.program)));
        }
        let mut names: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        names.sort();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Error::Invalid(format!("{}: a variable is there twice", self.program)));
        }
        let (arguments, bytes) = (self.arguments.len(), texts.iter().map(|text| text.len()).sum::<usize>());
        if arguments > limits.arguments || bytes > limits.argument_bytes {
            let (most, most_bytes) = (limits.arguments, limits.argument_bytes);
            return Err(Error::TooLarge(format!(
                "{}: {arguments} arguments of {bytes} bytes, more than {most} or {most_bytes} bytes",
                self.program
            )));
        }
        Ok(())
    }

    /// The arguments as people see them: a content is `{label}`.
    fn shown_arguments(&self) -> Vec<String> {
        let shown = |argument: &Result<String, Content>| match argument {
            Ok(text) => text.clone(),
            Err(content) => format!("{{{}}}", content.label()),
        };
        self.arguments.iter().map(shown).collect()
    }

    /// What whoever stands in for the program says.
    fn run_by(&self, programs: &dyn Programs, limits: &Limits, watch: &mut Watch) -> Result<Ended, Error> {
        let Self { program, environment, input, .. } = self;
        let call = ProgramCall { program, arguments: &self.shown_arguments(), environment, input };
        let ProgramExit { status, output, error_output } =
            programs.run(&call).map_err(|error| Error::Other(format!("{program} cannot be run: {error}")))?;
        output.lines().chain(error_output.lines()).for_each(|line| watch.line(line));
        let end = |text: String| {
            let begin = text.len().saturating_sub(limits.output_bytes);
            String::from_utf8_lossy(text.as_bytes().get(begin..).unwrap_or_default()).into_owned()
        };
        Ok(Ended { status, output: end(output), error_output: end(error_output), timed_out: false })
    }
}

/// The program, in the endpoint's root.
fn command(root: Option<&Path>, program: &str) -> Result<Command, Error> {
    let Some(root) = root else { return Ok(Command::new(program)) };
    if !rustix::process::geteuid().is_root() {
        let root = root.display();
        return Err(Error::Other(format!(
            "programs of the root {root} are run by chroot: the agent has to run as root"
        )));
    }
    let Some(chroot) = CHROOT.into_iter().find(|chroot| Path::new(chroot).exists()) else {
        let places = CHROOT.join(", ");
        return Err(Error::Other(format!("this machine has no program chroot ({places}): install coreutils")));
    };
    let mut command = Command::new(chroot);
    command.arg(root).arg(program);
    Ok(command)
}

impl process::Host for State {
    fn open_program(&mut self, path: String) -> Answer<Resource<OpenProgram>> {
        let answer = self.processes.open(&path, &self.time)?;
        self.time.returned();
        if self.endpoint.is_observed() {
            let told = told(&answer, |_| ());
            let result = told.as_ref().copied().map_err(String::as_str);
            self.endpoint.observe(|| HostCall::OpenProgram { path: &path, result });
        }
        Ok(answer)
    }

    fn pause(&mut self, milliseconds: u32) -> Answer<()> {
        self.endpoint.observe(|| HostCall::Pause { milliseconds });
        let until = Instant::now() + Duration::from_millis(u64::from(milliseconds));
        std::thread::sleep(until.min(self.time.end()).saturating_duration_since(Instant::now()));
        self.time.returned();
        Ok(self.time.check())
    }
}

impl process::HostProgram for State {
    fn run(&mut self, program: Resource<OpenProgram>, command: process::Command) -> Answer<process::Exit> {
        let wanted = Wanted::of(&program, command, self)?;
        let answer = self.processes.run(&wanted, &self.time, &self.limits, &mut self.watch)?;
        self.time.returned();
        if self.endpoint.is_observed() {
            let told = told(&answer, |ended| ProgramExit {
                status: ended.status,
                output: ended.output.clone(),
                error_output: ended.error_output.clone(),
            });
            let (arguments, result) = (wanted.shown_arguments(), told.as_ref().map_err(String::as_str));
            let Wanted { program, environment, input, .. } = &wanted;
            self.endpoint.observe(|| HostCall::Run { program, arguments: &arguments, environment, input, result });
        }
        Ok(answer.map(|ended| process::Exit {
            status: ended.status,
            output: ended.output,
            error_output: ended.error_output,
            timed_out: ended.timed_out,
        }))
    }

    fn drop(&mut self, program: Resource<OpenProgram>) -> wasmtime::Result<()> {
        self.processes.open.delete(program)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Manifest, Request};

    #[test]
    fn who_selects_opens_no_program_and_who_plans_may_ask_one() {
        let manifest = Manifest { run: Request::all(&["/bin/x --simulate"]), ..Manifest::sample() };
        let check = |call| {
            let grants = RunGrants::new(&manifest, ["/bin/x *", "/bin/x --*"], ["/bin/x --simulate"]).unwrap();
            let endpoint = Endpoint::open(Path::new("/")).unwrap();
            Processes::new(&endpoint, grants, call, &Limits::default()).check_program("/bin/x")
        };
        assert!(matches!(check(InstallCall::Select), Err(Error::Denied(reason)) if reason.contains("selection")));
        for call in [InstallCall::Plan, InstallCall::Install, InstallCall::Finish, InstallCall::RollBack] {
            assert_eq!(check(call), Ok(()));
        }
    }
}
