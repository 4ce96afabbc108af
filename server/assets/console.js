// Comfort only: every page works without it.

// The theme: the opposite of what is shown now, remembered.
document.querySelector(".theme")?.addEventListener("click", () => {
  const root = document.documentElement;
  const shown = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = shown === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("farrier-theme", root.dataset.theme);
  } catch {
    // Storage is off: it lasts for this page.
  }
});

// "/" goes to the search field.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea")) return;
  const search = document.querySelector("[data-search]");
  if (!search) return;
  event.preventDefault();
  search.focus();
  search.select();
});

// Forms that search while one types: the page they lead to, its results in place of these.
const TYPING_PAUSE_MS = 200;

for (const form of document.querySelectorAll("form[data-live]")) {
  let timer;
  let request;

  const address = () => {
    const parameters = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value !== "") parameters.append(name, value);
    const query = parameters.toString();
    return query === "" ? form.getAttribute("action") : `${form.getAttribute("action")}?${query}`;
  };

  const show = async () => {
    clearTimeout(timer);
    request?.abort();
    request = new AbortController();
    const url = address();
    try {
      const response = await fetch(url, { signal: request.signal });
      if (!response.ok) return location.assign(url);
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      document.getElementById(form.dataset.live).replaceChildren(...page.getElementById(form.dataset.live).childNodes);
      history.replaceState(null, "", url);
    } catch (error) {
      if (error.name !== "AbortError") location.assign(url);
    }
  };

  form.addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(show, event.target.type === "search" ? TYPING_PAUSE_MS : 0);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    show();
  });
}

// Parts of a page that change by themselves: when the site says so; where it does not, often while something runs, else
// now and then. Never in a hidden tab, and never below somebody's hands.
const BUSY_MS = 1000;
const IDLE_MS = 10000;
const parts = [...document.querySelectorAll("[data-refresh]")];
const shown = new Map();

async function refresh(part) {
  if (document.hidden) return;
  try {
    const query = "query" in part.dataset ? location.search : "";
    const response = await fetch(part.dataset.refresh + query);
    const text = response.ok ? await response.text() : shown.get(part);
    const inUse = part.contains(document.activeElement) || part.querySelector("details[open]") || String(getSelection()) !== "";
    if (text !== shown.get(part) && !inUse) {
      part.innerHTML = text;
      shown.set(part, text);
    }
  } catch {
    // The site is restarting: what is shown stays until it answers again.
  }
}

const isLive = () => document.documentElement.classList.contains("is-live");

for (const part of parts) {
  const again = () => setTimeout(async () => {
    if (!isLive()) await refresh(part);
    again();
  }, part.querySelector("[data-busy]") ? BUSY_MS : IDLE_MS);
  again();
}

const heard = document.querySelector("[data-events]")?.dataset.events;
if (heard) {
  let events;
  const live = (on) => document.documentElement.classList.toggle("is-live", on);
  const listen = () => {
    events = new EventSource(heard);
    events.addEventListener("open", () => live(true));
    events.addEventListener("error", () => live(false));
    events.addEventListener("changed", () => parts.forEach(refresh));
  };
  listen();
  // A hidden tab holds no connection: a browser has six of them for a site.
  document.addEventListener("visibilitychange", () => {
    events.close();
    live(false);
    if (document.hidden) return;
    parts.forEach(refresh);
    listen();
  });
}

// On a narrow screen the navigation scrolls: where one is, is seen.
document.querySelector(".top nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
document.querySelector(".trail [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
