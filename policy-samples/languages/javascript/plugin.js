// Whether the mounts of /etc/fstab have the options that a baseline asks for.
//
// A rule is `MOUNT-POINT OPTION`: `/tmp noexec`.
import { openFile } from "farrier:policy/facts@1.0.0";

export const scopes = ["mount-options/any"];

// The options by mount point; of two entries the last counts.
export function open() {
  const mounts = new Map();
  for (const line of read("/etc/fstab").split("\n")) {
    const [device, point, , options] = line.trim().split(/[ \t]+/);
    if (options && !device.startsWith("#")) mounts.set(point, options.split(","));
  }
  return mounts;
}

export function evaluate(mounts, rule) {
  const text = new TextDecoder().decode(rule);
  const [subject, option] = text.split(" ");
  if (!subject.startsWith("/") || !option) throw new Error(`the rule \`${text}\` is not \`MOUNT-POINT OPTION\``);
  const options = mounts.get(subject);
  if (!options) return { state: "not-required", subject, detail: "not in /etc/fstab" };
  const has = options.includes(option);
  const detail = `${has ? "has" : "lacks"} ${option}: its options are ${options.join()}`;
  return { state: has ? "installed" : "required", subject, detail };
}

// A whole file as text.
function read(path) {
  try {
    const file = openFile(path);
    const decoder = new TextDecoder();
    let text = "";
    for (let piece = file.read(65536); piece.length > 0; piece = file.read(65536)) {
      text += decoder.decode(piece, { stream: true });
    }
    return text + decoder.decode();
  } catch (error) {
    throw new Error(error.payload?.val ?? error);
  }
}
