"""The scan: a resource, which is looked for in a module of the interface's name."""

import plugin
from componentize_py_types import Err
from wit_world.exports import compliance
from wit_world.imports.types import ComplianceState, Error_Invalid, Finding


class Scan(compliance.Scan):
    def __init__(self, facts):
        self.facts = facts

    @classmethod
    def open(cls):
        try:
            return cls(plugin.open_facts())
        except Exception as error:
            raise Err(Error_Invalid(words(error))) from error

    def evaluate(self, rules):
        # Each rule stands behind its length as a little-endian u16.
        states, at = [], 0
        while at < len(rules):
            length = int.from_bytes(rules[at : at + 2], "little")
            rule = rules[at + 2 : at + 2 + length]
            if at + 2 > len(rules) or len(rule) < length:
                raise Err(Error_Invalid("the chunk is cut off in the middle of a rule"))
            states.append(self.state(rule)[0])
            at += 2 + length
        return states

    def explain(self, rule):
        state, subject, detail = self.state(rule)
        return [Finding(subject, state, detail)]

    def state(self, rule):
        """One rule; what cannot be understood is unknown."""
        try:
            return plugin.evaluate(self.facts, rule)
        except Exception as error:
            return ComplianceState.UNKNOWN, "", words(error)


def words(error):
    """What an error says; one of the host holds its text in its value's value."""
    inner = getattr(error, "value", None)
    return str(getattr(inner, "value", inner if inner is not None else error))
