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
      document.getElementById(form.dataset.live).replaceWith(page.getElementById(form.dataset.live));
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

// Parts of a page that change by themselves: often while something runs, else now and then; never in a hidden tab.
const BUSY_MS = 1000;
const IDLE_MS = 10000;

for (const part of document.querySelectorAll("[data-refresh]")) {
  let shown;

  const refresh = async () => {
    if (!document.hidden) {
      try {
        const response = await fetch(part.dataset.refresh);
        const text = response.ok ? await response.text() : shown;
        const focused = part.contains(document.activeElement);
        if (text !== shown && !focused && String(getSelection()) === "") {
          part.innerHTML = text;
          shown = text;
        }
      } catch {
        // The site is restarting: what is shown stays until it answers again.
      }
    }
    setTimeout(refresh, part.querySelector("[data-busy]") ? BUSY_MS : IDLE_MS);
  };

  setTimeout(refresh, part.querySelector("[data-busy]") ? BUSY_MS : IDLE_MS);
}
