// {{name}}: whether an application below /opt has the version that a rule asks for.
//
// A rule is `NAME VERSION`; the file /opt/NAME/VERSION says which version there is.
import { openFile } from "farrier:policy/facts@1.0.0";

// The catalogs that concern this client.
export const scopes = ["{{name}}/any"];

// Reads the facts that the rules need, once. What it returns is handed to `evaluate`.
export function open() {
  return new Map();
}

// The state of the update of one rule, and why. What is thrown becomes the reason of `unknown`.
export function evaluate(versions, rule) {
  const text = new TextDecoder().decode(rule);
  const [name, version] = text.split(" ");
  if (!name || !version || name.includes("/")) throw new Error(`the rule \`${text}\` is not \`NAME VERSION\``);
  if (!versions.has(name)) versions.set(name, installed(name));
  const found = versions.get(name);
  if (found === null) return { state: "not-required", subject: name, detail: "not installed" };
  const state = found === version ? "installed" : "required";
  return { state, subject: name, detail: `${found} is installed, ${version} is wanted` };
}

// The installed version of an application; null if it is not installed.
function installed(name) {
  let file;
  try {
    file = openFile(`/opt/${name}/VERSION`);
  } catch (error) {
    if (error.payload?.tag === "not-found") return null;
    throw new Error(error.payload?.val ?? error);
  }
  return new TextDecoder().decode(file.read(256)).trim();
}
