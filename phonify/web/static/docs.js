// The forms "Try it" send requests to this server with the entered key, without a cookie.
"use strict";

const key = document.getElementById("key");

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-take-key]");
  if (!button) return;
  const answer = await fetch(button.dataset.takeKey, { method: "POST" });
  const taken = answer.ok ? (await answer.json()).api_key : null;
  if (taken) { key.value = taken; button.classList.add("copied"); }
  document.getElementById("said").textContent = taken ? "The key is filled in" : "You are no longer signed in";
});

function readForm(form) {
  let path = form.dataset.path;
  const given = {};
  for (const field of form.querySelectorAll("[data-place]")) {
    const value = field.value;
    if (field.dataset.place === "path") {
      path = path.replace(`{${field.name}}`, encodeURIComponent(value || field.placeholder));
    } else if (value !== "") {
      const several = field.dataset.several !== undefined ? value.split(/[\s,;]+/).filter(Boolean) : [];
      given[field.name] = several.length > 1 ? several : value;
    }
  }
  return { path, given };
}

function element(name, text, className = "") {
  return Object.assign(document.createElement(name), { textContent: text, className });
}

async function send(form) {
  const { path, given } = readForm(form);
  const method = form.dataset.try;
  const options = { method, headers: {}, credentials: "omit" };
  if (form.dataset.public === undefined) options.headers.Authorization = `Basic ${btoa(`${key.value.trim()}:`)}`;
  let address = path;
  if (method === "POST" || method === "PUT") {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(given);
  } else if (Object.keys(given).length) {
    address += `?${new URLSearchParams(given)}`;
  }
  const begun = performance.now();
  const response = await fetch(address, options);
  const text = await response.text();
  const took = Math.round(performance.now() - begun);
  const first = element("p", "");
  first.append(element("span", String(response.status), `status s${String(response.status)[0]}`), ` in ${took} ms`);
  let shown = text;
  try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* as it came */ }
  const answer = element("pre", shown);
  answer.tabIndex = 0;
  answer.setAttribute("aria-label", "The answer");
  return [first, answer];
}

document.addEventListener("submit", async (event) => {
  if (event.target.matches("[data-key]")) event.preventDefault();
  const form = event.target.closest("form[data-try]");
  if (!form) return;
  event.preventDefault();
  const came = form.querySelector(".came");
  if (!key.value && form.dataset.public === undefined) {
    came.replaceChildren(element("p", "Fill in your key first. Its field is at the top of this page."));
    return;
  }
  came.replaceChildren(element("p", "…"));
  try {
    came.replaceChildren(...await send(form));
  } catch (error) {
    came.replaceChildren(element("p", `No answer: ${error.message}`));
  }
});

// The table of contents marks the current section. On a narrow screen, it is closed at first.
const links = new Map();
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    for (const link of links.values()) link.removeAttribute("aria-current");
    const link = links.get(entry.target);
    link.setAttribute("aria-current", "true");
    const box = link.closest(".contents");
    const { top, bottom } = link.getBoundingClientRect();
    const frame = box.getBoundingClientRect();
    if (top < frame.top || bottom > frame.bottom) box.scrollTop += top - frame.top - frame.height / 2;
  }
}, { rootMargin: "-15% 0px -75% 0px" });
for (const link of document.querySelectorAll('.contents a[href^="#"]')) {
  const part = document.getElementById(link.hash.slice(1)).closest("article, section");
  if (!part || (part.matches("section") && part.querySelector("article"))) continue;
  links.set(part, link);
  watcher.observe(part);
}

if (window.matchMedia("(max-width: 820px)").matches) document.querySelector(".contents details").open = false;

// If a person chooses a language at one sample, all samples change.
document.addEventListener("change", (event) => {
  if (!event.target.matches(".tabs > input")) return;
  const kind = event.target.className;
  const before = event.target.getBoundingClientRect().top;
  for (const other of document.querySelectorAll(`.tabs > input.${kind}`)) other.checked = true;
  window.scrollBy({ top: event.target.getBoundingClientRect().top - before, behavior: "instant" });
});
