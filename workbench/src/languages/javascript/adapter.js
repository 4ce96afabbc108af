// Between what the author of a plugin in JavaScript writes and what the agent calls.
import * as plugin from "./plugin.js";

// An error as the agent takes it; its words are for the administrator.
function fail(error) {
  if (error && error.payload) throw error;
  throw { tag: "invalid", val: String(error && error.message ? error.message : error) };
}

class Scan {
  static open() {
    try {
      const scan = new Scan();
      scan.facts = plugin.open();
      return scan;
    } catch (error) {
      return fail(error);
    }
  }

  evaluate(rules) {
    // Each rule stands behind its length as a little-endian u16.
    const states = [];
    for (let at = 0; at < rules.length;) {
      const length = rules[at] | (rules[at + 1] << 8);
      if (!(at + 2 + length <= rules.length)) fail("the chunk is cut off in the middle of a rule");
      states.push(this.state(rules.subarray(at + 2, at + 2 + length)).state);
      at += 2 + length;
    }
    return states;
  }

  explain(rule) {
    const { state, subject, detail } = this.state(rule);
    return [{ subject: String(subject ?? ""), state, detail: String(detail ?? "") }];
  }

  // One rule; what cannot be understood is unknown.
  state(rule) {
    try {
      return plugin.evaluate(this.facts, rule);
    } catch (error) {
      return { state: "unknown", detail: String(error && error.message ? error.message : error) };
    }
  }
}

export const compliance = { scopes: () => plugin.scopes, Scan };
