"""{{name}}: whether an application below /opt has the version that a rule asks for.

A rule is `NAME VERSION`; the file /opt/NAME/VERSION says which version there is.
"""

from componentize_py_types import Err
from wit_world.imports import facts
from wit_world.imports.types import ComplianceState, Error_NotFound

# The catalogs that concern this client.
SCOPES = ["{{name}}/any"]


def open_facts():
    """Reads the facts that the rules need, once. What it returns is handed to `evaluate`."""
    return {}


def evaluate(versions, rule):
    """The state of the update of one rule, the thing it is about, and why. What is raised becomes the reason of unknown."""
    text = rule.decode()
    words = text.split(" ")
    if len(words) != 2 or "/" in words[0]:
        raise ValueError(f"the rule `{text}` is not `NAME VERSION`")
    name, version = words
    if name not in versions:
        versions[name] = installed(name)
    found = versions[name]
    if found is None:
        return ComplianceState.NOT_REQUIRED, name, "not installed"
    state = ComplianceState.INSTALLED if found == version else ComplianceState.REQUIRED
    return state, name, f"{found} is installed, {version} is wanted"


def installed(name):
    """The installed version of an application; None if it is not installed."""
    try:
        with facts.open_file(f"/opt/{name}/VERSION") as file:
            return file.read(256).decode().strip()
    except Err as error:
        if isinstance(error.value, Error_NotFound):
            return None
        raise
