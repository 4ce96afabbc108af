//! Where the rpm database is.

use alloc::{borrow::ToOwned, format, string::String};
use farrier_plugin_sdk::{Error, Facts};

/// The folders it may be in. In newer distributions the first is a link to the second.
const FOLDERS: [&str; 2] = ["/var/lib/rpm", "/usr/lib/sysimage/rpm"];

/// Forms of the database that are not understood.
const OTHER_FORMS: [(&str, &str); 2] = [("Packages", "Berkeley DB"), ("Packages.db", "ndb")];

/// The path of the database; none, where there is no rpm.
///
/// # Errors
/// If the database has another form, or if there are two.
pub fn find(facts: &dyn Facts) -> Result<Option<String>, Error> {
    let [old, new] = FOLDERS.map(|folder| format!("{folder}/rpmdb.sqlite"));
    match (facts.exists(&old)?, facts.exists(&new)?) {
        (true, true) if is_one_file(facts, &old, &new)? => Ok(Some(old)),
        (true, true) => {
            let reason =
                format!("{old} and {new} are two databases, and nothing says which one counts; move the other away");
            Err(Error::Invalid(reason))
        }
        (true, false) => Ok(Some(old)),
        (false, true) => Ok(Some(new)),
        (false, false) => refuse_other_forms(facts).map(|()| None),
    }
}

/// Where the database would be.
pub fn names() -> String {
    FOLDERS.join(" and ")
}

/// Whether both paths lead to one file, as far as can be seen.
fn is_one_file(facts: &dyn Facts, one: &str, other: &str) -> Result<bool, Error> {
    Ok(facts.stat(one)? == facts.stat(other)?)
}

fn refuse_other_forms(facts: &dyn Facts) -> Result<(), Error> {
    for folder in FOLDERS {
        for (name, form) in OTHER_FORMS {
            let path = format!("{folder}/{name}");
            if facts.exists(&path)? {
                let remedy = "only the sqlite form is understood; with `%_db_backend sqlite` among rpm's macros, \
                              `rpmdb --rebuilddb` converts it";
                return Err(Error::Invalid(format!("{path}: the rpm database has the form of {form}: {remedy}")));
            }
        }
    }
    Ok(())
}

/// What is wrong where a database was expected.
pub fn missing() -> Error {
    Error::NotFound("there is no rpm database in ".to_owned() + &names())
}
