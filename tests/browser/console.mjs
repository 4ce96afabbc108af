// Opens every page of the console in Chromium, wide and narrow, light and dark, and fails on what a person would notice:
// an error in the browser's log, a page that scrolls sideways, a focus one cannot see, a control without a name.
//
//   npm ci && node console.mjs [ADDRESS] [FOLDER]
//
// ADDRESS is a running console; without one, the sample (`cargo build -p farrier --example console_sample`) is started.
// Screenshots go to FOLDER, by default `screenshots` beside this file. CHROMIUM names the browser, SAMPLE the sample.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const folder = process.argv[3] ?? join(import.meta.dirname, "screenshots");
const browserPath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const flags = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const widths = [1280, 390];
const schemes = ["light", "dark"];
const failures = [];
let checks = 0;

function check(claim, holds, detail = "") {
  checks += 1;
  if (holds) return;
  failures.push(`${claim} ${detail}`);
  console.log(`FAILED: ${claim} ${detail}`);
}

async function startSample(...options) {
  const target = process.env.CARGO_TARGET_DIR ?? join(import.meta.dirname, "../../target");
  const program = process.env.SAMPLE ?? join(target, "debug/examples/console_sample");
  const sample = spawn(program, options, { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: sample.stdout })) {
    if (line.startsWith("http://")) return { address: line, stop: () => sample.kill("SIGINT") };
  }
  throw new Error(`${program} ended without an address`);
}

// Addresses by the name of their screenshot; {update} and {client} are the first of the lists, {phased}, {paused} and
// {gated} deployments, {fallen} a client that fell back.
const pages = {
  overview: "/",
  updates: "/updates",
  "updates-filtered": "/updates?search=ssl&superseded=1&sort=title",
  "updates-nothing": "/updates?search=nosuchpackage",
  update: "/updates/{update}",
  clients: "/clients",
  client: "/clients/{client}",
  "client-installed": "/clients/{client}?state=Installed",
  deployments: "/deployments",
  "deployment-phased": "/deployments/{phased}",
  "deployment-paused": "/deployments/{paused}",
  "deployment-gated": "/deployments/{gated}",
  "deployment-failed": "/deployments/{phased}?state=Failed",
  rules: "/deployment-rules",
  rule: "/deployment-rules/1",
  collections: "/collections",
  collection: "/collections/2",
  "collection-edit": "/collections/5/edit",
  "window-new": "/collections/2/windows/new",
  plugins: "/plugins",
  "plugin-compared": "/plugins/dpkg",
  "plugin-tried": "/plugins/file-set",
  "plugin-installer": "/plugins/dpkg-installer",
  "plugin-waiting": "/plugins/ini-baseline",
  "plugin-failed": "/plugins/file-set?failed=1",
  differences: "/plugins/dpkg/differences",
  "differences-nothing": "/plugins/dpkg/differences?search=nosuchpackage",
  "differences-none": "/plugins/file-set/differences",
  "client-fallen-back": "/clients/{fallen}",
  synchronization: "/synchronization",
  keys: "/keys",
  "not-found": "/updates/00000000000000000000000000000000",
  "bad-request": "/updates?sort=colour",
};
const emptyPages = {
  "empty-deployments": "/deployments", "empty-plugins": "/plugins", "empty-rules": "/deployment-rules", "empty-collections": "/collections",
  "empty-wizard": "/deployments/new", "empty-overview": "/", "empty-updates": "/updates", "empty-clients": "/clients", "empty-synchronization": "/synchronization",
};

const places = {
  update: "updates", client: "clients?sort=required", phased: "deployments?search=November", paused: "deployments?status=paused",
  gated: "deployments?search=nginx", fallen: "plugins/file-set/clients?failed=1",
};

async function fill(address, path) {
  for (const [name, list] of Object.entries(places)) {
    if (!path.includes(`{${name}}`)) continue;
    path = path.replace(`{${name}}`, (await (await fetch(`${address}/api/${list}`)).json()).items[0].id);
  }
  return path;
}

async function visit(browser, address, list, width, scheme) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme, deviceScaleFactor: 1 });
  const page = await context.newPage();
  const where = (name) => `${name} at ${width} px, ${scheme}`;
  let current = "";
  // A refused page is logged by the browser as an error; it is what was asked for.
  page.on("console", (message) => {
    const refused = /not-found|bad-request/.test(current) && message.text().startsWith("Failed to load resource");
    if (["error", "warning"].includes(message.type()) && !refused) check(`no errors: ${where(current)}`, false, message.text());
  });
  page.on("pageerror", (error) => check(`no exceptions: ${where(current)}`, false, error.message));
  page.on("request", (request) => check(`nothing from elsewhere: ${where(current)}`, request.url().startsWith(address), request.url()));
  for (const [name, path] of Object.entries(list)) {
    current = name;
    await page.goto(address + (await fill(address, path)));
    check(`no layout jump: ${where(name)}`, (await shift(page)) < 0.01);
    await inspect(page, where(name), `${name}-${width}-${scheme}`);
  }
  if (list === pages) {
    const at = (step) => { current = `wizard-${step}`; return inspect(page, where(current), `${current}-${width}-${scheme}`); };
    await walk(page, address, at);
  }
  await context.close();
}

// What a person would notice of a page that is open, with its picture.
async function inspect(page, where, picture) {
  await page.screenshot({ path: join(folder, `${picture}.png`), fullPage: true });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check(`no sideways scrolling: ${where}`, overflow <= 0, `${overflow} px too wide`);
  const unnamed = await page.evaluate(() =>
    [...document.querySelectorAll("a, button, input:not([type=hidden]), select, textarea")]
      .filter((element) => element.tabIndex >= 0)
      .filter((element) => !(element.textContent.trim() || element.getAttribute("aria-label") || element.labels?.length))
      .map((element) => element.outerHTML.slice(0, 80)));
  check(`every control has a name: ${where}`, unnamed.length === 0, unnamed.join(" "));
  const twice = await page.evaluate(() => {
    const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
    return ids.filter((id, place) => ids.indexOf(id) !== place);
  });
  check(`every id is unique: ${where}`, twice.length === 0, twice.join(" "));
  check(`one heading: ${where}`, (await page.locator("h1").count()) === 1);
  check(`readable text: ${where}`, (await faint(page)).length === 0, (await faint(page)).join("; "));
  await focus(page, where);
}

// Goes through the wizard up to its review, and tells of each step when it is shown.
async function walk(page, address, at) {
  await page.goto(`${address}/updates?search=openss`);
  await page.locator("#results tbody input[type=checkbox]").first().check();
  await page.locator("#results tbody input[type=checkbox]").nth(1).check();
  await page.getByRole("button", { name: "Deploy selected" }).click();
  const next = () => page.getByRole("button", { name: "Next" }).click();
  await at("updates");
  await page.locator("[name=name]").fill("From the browser");
  await next();
  await at("content");
  await next();
  await next();
  await at("collection-missing");
  await page.getByLabel("Web servers").check();
  await next();
  await page.locator("[name=grace_seconds]").fill("a while");
  await next();
  await at("schedule-mistake");
  await page.locator("[name=grace_seconds]").fill("2 h");
  await next();
  await page.getByRole("button", { name: "5 %, 25 %, everybody" }).click();
  await at("phases");
  await next();
  await page.getByRole("button", { name: "Create deployment" }).waitFor();
  await at("review");
}

// How far content moved while the page loaded.
const shift = (page) => page.evaluate(() => new Promise((resolve) => {
  let sum = 0;
  new PerformanceObserver((list) => { for (const entry of list.getEntries()) sum += entry.value; }).observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve(sum), 50);
}));

// Text with less contrast than WCAG AA asks for (4.5); numbers that are 0 are faint on purpose.
const faint = (page) => page.evaluate(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([red, green, blue]) => {
    const linear = [red, green, blue].map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] > 250) return colour;
    }
    return rgba(getComputedStyle(document.body).backgroundColor);
  };
  const bad = new Set();
  for (const element of document.querySelectorAll("main *, header *")) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!text || element.closest("svg, .zero, .pager span, :disabled, option")) continue;
    if (!element.checkVisibility()) continue;
    const [a, b] = [luminance(rgba(getComputedStyle(element).color)), luminance(ground(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) bad.add(`${element.textContent.trim().slice(0, 30)} (${contrast.toFixed(1)})`);
  }
  return [...bad].slice(0, 5);
});

// Everything one can reach by the Tab key shows that it is reached.
async function focus(page, where) {
  await page.evaluate(() => { document.activeElement?.blur(); scrollTo(0, 0); });
  const seen = new Set();
  for (let step = 0; step < 14; step += 1) {
    await page.keyboard.press("Tab");
    const focused = await page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return null;
      const style = getComputedStyle(element);
      const box = element.getBoundingClientRect();
      return {
        name: (element.getAttribute("aria-label") ?? element.textContent.trim() ?? "").slice(0, 40) || element.name,
        visible: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 && box.width > 1 && box.bottom > 0,
      };
    });
    if (!focused) break;
    if (step === 0) check(`the first stop skips to the content: ${where}`, focused.name === "Skip to content", focused.name);
    seen.add(focused.name);
    check(`focus is visible: ${where}`, focused.visible, focused.name);
  }
  check(`the keyboard reaches controls: ${where}`, seen.size >= 5, [...seen].join(", "));
}

async function behaviour(browser, address) {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: "light" })).newPage();
  await page.goto(`${address}/updates`);
  await page.keyboard.press("/");
  check("/ goes to the search", await page.evaluate(() => document.activeElement.name === "search"));
  await page.keyboard.type("openssl");
  await page.waitForFunction(() => location.search === "?search=openssl" && document.querySelectorAll("#results tbody tr").length === 1);
  check("typing searches", (await page.locator("#results tbody tr").count()) === 1);
  check("the search keeps the focus", await page.evaluate(() => document.activeElement.name === "search"));

  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.locator(".theme").click();
  const dark = await ground();
  check("the theme can be switched", dark !== light);
  await page.goto(`${address}/clients`);
  check("the theme is remembered", (await ground()) === dark);

  await page.goto(`${address}/synchronization`);
  await page.locator("button.primary").click();
  await page.waitForSelector("[data-busy] progress");
  check("running leads back to the page", page.url() === `${address}/synchronization`);
  await page.waitForTimeout(1500);
  await page.screenshot({ path: join(folder, "synchronization-running.png") });
  await page.waitForSelector("[data-busy]", { state: "detached", timeout: 30000 });
  check("progress goes away by itself when the synchronization ends", true);

  await live(page, address);

  const plain = await (await browser.newContext({ viewport: { width: 1280, height: 900 }, javaScriptEnabled: false })).newPage();
  await plain.goto(`${address}/updates`);
  await plain.locator("input[name=search]").fill("sudo");
  await plain.locator(".filters button").click();
  await plain.waitForURL("**/updates?*search=*");
  check("searching works without JavaScript", plain.url().includes("search=sudo"), plain.url());
  await plain.locator("th a", { hasText: "First seen" }).click();
  await plain.waitForURL("**/updates?*sort=*");
  check("sorting works without JavaScript", plain.url().includes("sort=first_seen") && plain.url().includes("search=sudo"), plain.url());
  await plain.screenshot({ path: join(folder, "without-javascript.png") });
  await walk(plain, address, async () => {});
  await plain.goBack();
  await plain.getByRole("button", { name: "5 %, 25 %, everybody" }).waitFor();
  check("the browser's back button keeps what was typed", (await plain.locator("legend", { hasText: "Phase 3" }).count()) === 1);
  await plain.goForward();
  await plain.getByRole("button", { name: "Create deployment" }).click();
  await plain.locator("summary", { hasText: "Cancel" }).waitFor();
  check("a deployment is made without JavaScript", /\/deployments\/[0-9a-f]{32}$/.test(plain.url()), plain.url());
  await plain.locator("summary", { hasText: "Cancel" }).click();
  await plain.getByRole("button", { name: "Cancel the deployment" }).click();
  await plain.getByRole("button", { name: "Cancel the deployment" }).waitFor({ state: "detached" });
  check("it is cancelled without JavaScript", (await plain.locator(".chip.cancelled").count()) === 1);

  await plugins(plain, address);
}

// A plugin is decided about, tried, promoted and rolled back without JavaScript.
async function plugins(plain, address) {
  await plain.goto(`${address}/plugins`);
  await plain.getByRole("link", { name: "1 grant to decide" }).first().click();
  await plain.waitForURL("**/plugins/*#versions");
  await plain.goto(`${address}/plugins/ini-baseline`);
  await plain.getByLabel("read /proc/sys/**").check();
  await plain.getByRole("button", { name: "Refuse ticked" }).click();
  await plain.waitForURL("**/plugins/ini-baseline#versions");
  check("a grant is refused by ticking it", (await plain.locator(".grants .state", { hasText: "refused" }).count()) === 1);

  await plain.goto(`${address}/plugins/dpkg`);
  const version = plain.locator(".version", { has: plain.locator("summary b", { hasText: /^0\.2\.0$/ }) });
  await version.locator("summary", { hasText: /^Promote$/ }).click();
  await plain.screenshot({ path: join(folder, "plugin-promote.png") });
  await version.getByRole("button", { name: "Promote 0.2.0" }).click();
  const asked = () => plain.locator("[name=accept_differences]").evaluate((box) => !box.checkValidity());
  check("differences are not accepted by accident", plain.url().endsWith("/plugins/dpkg") && (await asked()), plain.url());
  await version.getByLabel(/^Accept .* differences/).check();
  await version.getByRole("button", { name: "Promote 0.2.0" }).click();
  await plain.locator("#version-0\\.2\\.0 .chip", { hasText: "current" }).waitFor();
  check("a version is promoted", (await plain.locator("#shadow").count()) === 0);

  await plain.locator("summary", { hasText: "Roll back" }).click();
  await plain.getByRole("button", { name: "Roll dpkg back" }).click();
  await plain.locator("#version-0\\.1\\.0 .chip", { hasText: "current" }).waitFor();
  check("and rolled back", (await plain.locator("summary", { hasText: "Roll back" }).count()) === 0);

  await plain.locator("#version-0\\.2\\.0 > summary").click();
  await plain.locator("#version-0\\.2\\.0 summary", { hasText: "Canary" }).click();
  await plain.locator("#version-0\\.2\\.0 form[action$=assign] select").selectOption({ index: 1 });
  await plain.getByRole("button", { name: "Assign 0.2.0" }).click();
  await plain.locator("#version-0\\.2\\.0 .chip", { hasText: "canary" }).waitFor();
  await plain.locator("#version-0\\.2\\.0 summary", { hasText: "End canary" }).click();
  await plain.getByRole("button", { name: "End the canary" }).click();
  await plain.locator("#version-0\\.2\\.0 .chip", { hasText: "canary" }).waitFor({ state: "detached" });
  check("a canary comes and goes", true);
}

// A deployment's page changes by itself when somebody else does something to it.
async function live(page, address) {
  const path = await fill(address, "/deployments/{phased}");
  await page.goto(address + path);
  await page.waitForSelector(".is-live");
  const act = (action) => page.context().request.post(`${address}${path}/${action}`, { headers: { "sec-fetch-site": "same-origin" }, form: {} });
  await act("pause");
  await page.waitForSelector(".chip.paused", { timeout: 5000 });
  check("a page shows at once what somebody else did", true);
  await page.locator("#clients [name=state]").selectOption("Failed");
  await page.waitForFunction(() => location.search === "?state=Failed");
  await act("resume");
  await page.waitForSelector(".chip.active", { timeout: 5000 });
  const states = await page.locator("#listed td .state").allTextContents();
  check("the filter holds while the page changes", states.length > 0 && states.every((state) => state === "Failed"), states.join());
}

if (!existsSync(browserPath)) {
  console.log(`There is no browser ${browserPath}: install chromium, or name one in CHROMIUM.`);
  process.exit(2);
}
mkdirSync(folder, { recursive: true });
const samples = [];
const address = process.argv[2] || (samples.push(await startSample()), samples[0].address);
const browser = await chromium.launch({ executablePath: browserPath, args: flags });
try {
  for (const width of widths) for (const scheme of schemes) await visit(browser, address, pages, width, scheme);
  await behaviour(browser, address);
  if (samples.length > 0) {
    const empty = await startSample("--empty");
    samples.push(empty);
    for (const width of widths) await visit(browser, empty.address, emptyPages, width, "light");
  }
} finally {
  await browser.close();
  for (const sample of samples) sample.stop();
}
console.log(`${checks - failures.length} passed, ${failures.length} failed`);
process.exit(failures.length === 0 ? 0 : 1);
