"""Between what the author of a plugin in Python writes and what the agent calls."""

import plugin
from wit_world import exports


class Compliance(exports.Compliance):
    def scopes(self):
        return list(plugin.SCOPES)
