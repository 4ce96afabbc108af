//! Grants of programs.

use super::{Access, Call, Denial, GrantError, RunGrant, Three};
use crate::manifest::Manifest;
use crate::text::printable;

/// Bytes of a denied command that are shown.
const MAX_SHOWN_BYTES: usize = 256;

/// The programs a plugin may run: asked by its manifest ∩ approved by the site ∩ allowed by the client's own config. A
/// command has to match a [`RunGrant`] in each of the three lists.
#[derive(Debug, Clone)]
pub struct RunGrants(Three<Vec<RunGrant>>);

impl RunGrants {
    /// What `manifest` asks for, limited to what the site approved and to what this client allows.
    ///
    /// # Errors
    /// When a line is no [`RunGrant`].
    pub fn new<A, B>(manifest: &Manifest, approved: A, allowed: B) -> Result<Self, GrantError>
    where
        A: IntoIterator<Item: AsRef<str>>,
        B: IntoIterator<Item: AsRef<str>>,
    {
        let asked = manifest.run.iter().map(|request| &request.grant);
        Three::new(Access::Run, &manifest.name, asked, approved, allowed, parse).map(Self)
    }

    /// Whether some use of this program is covered; logs each denial once.
    pub(crate) fn check_program(&self, program: &str) -> Result<(), Denial> {
        let what = printable(program, MAX_SHOWN_BYTES);
        self.0.check_logged(&what, |grants| grants.iter().any(|grant| grant.program() == program))
    }

    /// Whether this command is covered; logs each denial once.
    pub(crate) fn check_logged(&self, call: &Call<'_>) -> Result<(), Denial> {
        let line = printable(&call.to_string(), MAX_SHOWN_BYTES);
        self.0.check_logged(&line, |grants| grants.iter().any(|grant| grant.covers(call)))
    }
}

fn parse(lines: &mut dyn Iterator<Item = String>) -> Result<Vec<RunGrant>, String> {
    let grant = |line: String| {
        RunGrant::parse(&line).map_err(|error| format!("`{}` is no grant: {error}", line.escape_default()))
    };
    lines.map(grant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Request;

    const INSTALL: &str = "/usr/bin/dpkg --install {blob}...";

    fn call<'a>(arguments: &'a [Option<&'a str>]) -> Call<'a> {
        Call { environment: &[], program: "/usr/bin/dpkg", arguments, input: false }
    }

    fn remedy(asked: &[&str], approved: &[&str], allowed: &[&str], call: &Call<'_>) -> Option<String> {
        let run = Request::all(asked);
        let grants = RunGrants::new(&Manifest { run, ..Manifest::sample() }, approved, allowed).unwrap();
        grants.check_logged(call).err().map(|denial| denial.remedy)
    }

    #[test]
    fn a_command_needs_three_that_agree() {
        let (wide, narrow) = (["/usr/bin/dpkg --* {blob}..."].as_slice(), [INSTALL].as_slice());
        for lists in [[narrow, wide, wide], [wide, narrow, wide], [wide, wide, narrow]] {
            let remedy = |arguments: &[_]| remedy(lists[0], lists[1], lists[2], &call(arguments));
            assert_eq!(remedy(&[Some("--install"), None]), None);
            assert!(remedy(&[Some("--purge"), None]).is_some(), "{lists:?}");
        }
    }

    #[test]
    fn whoever_is_silent_refuses_and_is_told_the_line() {
        let (all, none) = ([INSTALL].as_slice(), [].as_slice());
        let arguments = [Some("--install"), None, None];
        for (lists, place) in [
            ([none, all, all], "plugin.toml"),
            ([all, none, all], "the site did not approve it"),
            ([all, all, none], "in agent.toml"),
        ] {
            let remedy = remedy(lists[0], lists[1], lists[2], &call(&arguments)).unwrap();
            assert!(remedy.contains(place) && remedy.contains(INSTALL), "{remedy}");
        }
    }

    #[test]
    fn a_program_is_opened_if_some_use_of_it_is_granted() {
        let grants = |allowed: &[&str]| {
            let manifest = Manifest { run: Request::all(&[INSTALL]), ..Manifest::sample() };
            RunGrants::new(&manifest, ["/usr/bin/dpkg *"], allowed).unwrap()
        };
        assert_eq!(grants(&["/usr/bin/dpkg"]).check_program("/usr/bin/dpkg"), Ok(()));
        let denial = grants(&[]).check_program("/usr/bin/dpkg").unwrap_err();
        assert_eq!(denial.what, "/usr/bin/dpkg");
        assert!(denial.remedy.contains(&format!("add \"{INSTALL}\" to `run` under")), "{}", denial.remedy);
        let denial = grants(&[]).check_program("/bin/sh").unwrap_err();
        assert!(denial.remedy.contains("add \"/bin/sh\" to `run` in its plugin.toml"), "{}", denial.remedy);
    }

    #[test]
    fn a_bad_line_is_named_with_its_list_and_the_place() {
        let error = RunGrants::new(&Manifest::sample(), ["dpkg -i"], [""; 0]).unwrap_err().to_string();
        assert_eq!(
            error,
            "plugin `dpkg`: the programs to run that the site approves: `dpkg -i` is no grant: at character 1: `dpkg` is \
             not an absolute path"
        );
    }
}
