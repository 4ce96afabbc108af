"""Whether the mounts of /etc/fstab have the options that a baseline asks for.

A rule is `MOUNT-POINT OPTION`: `/tmp noexec`.
"""

from wit_world.imports import facts
from wit_world.imports.types import ComplianceState

SCOPES = ["mount-options/any"]


def open_facts():
    """The options by mount point; of two entries the last counts."""
    mounts = {}
    for line in read("/etc/fstab").splitlines():
        fields = line.split()
        if len(fields) >= 4 and not line.lstrip().startswith("#"):
            mounts[fields[1]] = fields[3].split(",")
    return mounts


def evaluate(mounts, rule):
    text = rule.decode()
    words = text.split(" ")
    if len(words) != 2 or not words[0].startswith("/"):
        raise ValueError(f"the rule `{text}` is not `MOUNT-POINT OPTION`")
    point, option = words
    options = mounts.get(point)
    if options is None:
        return ComplianceState.NOT_REQUIRED, point, "not in /etc/fstab"
    has = option in options
    detail = f"{'has' if has else 'lacks'} {option}: its options are {','.join(options)}"
    return ComplianceState.INSTALLED if has else ComplianceState.REQUIRED, point, detail


def read(path):
    """A whole file as text."""
    pieces = []
    with facts.open_file(path) as file:
        while piece := file.read(65536):
            pieces.append(piece)
    return b"".join(pieces).decode()
