// What the pages do beyond htmx: look for changes, copy, keys of the keyboard, times of the place.
"use strict";

const LOOK_EVERY = 800; // milliseconds

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const say = (text) => { document.getElementById("said").textContent = text; };

// Times are in UTC in the page; show them as the person's own.
function showTimes(within) {
  for (const time of all("time[datetime]", within)) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.valueOf()) || time.dataset.shown === time.dateTime) continue;
    const today = moment.toDateString() === new Date().toDateString();
    const options = today ? { hour: "2-digit", minute: "2-digit" }
      : { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" };
    if (moment.getFullYear() !== new Date().getFullYear()) options.year = "numeric";
    if (time.closest(".steps, .deliveries")) options.second = "2-digit";
    time.textContent = moment.toLocaleString(undefined, options);
    time.title = moment.toLocaleString();
    time.dataset.shown = time.dateTime;
  }
}

// A field for a time is in the person's time zone and is sent in UTC.
function prepareTimes(within) {
  for (const field of all("input[data-utc]", within)) {
    if (field.dataset.prepared) continue;
    field.dataset.prepared = "yes";
    if (field.value) {
      const moment = new Date(`${field.value}Z`);
      field.value = new Date(moment - moment.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
    }
    for (const zone of all(".zone", field.closest("form"))) {
      zone.textContent = `(${Intl.DateTimeFormat().resolvedOptions().timeZone})`;
    }
  }
}

const asUtc = (value) => value && new Date(value).toISOString();

document.addEventListener("formdata", (event) => {
  for (const field of all("input[data-utc]", event.target)) {
    if (field.value) event.formData.set(field.name, asUtc(field.value));
  }
});

// Ask for changes while somebody can see the page.
const isAtBottom = (list) => list.scrollHeight - list.scrollTop - list.clientHeight < 80;
const toBottom = (list) => { list.scrollTop = list.scrollHeight; };

document.addEventListener("htmx:configRequest", (event) => {
  const parameters = event.detail.parameters;
  if (event.target.id === "live") {
    parameters.shown = all("#conversations > li:not(.more)").length;
    const first = document.querySelector("#thread > li[data-seq]");
    if (parameters.has("since")) parameters.since = first ? first.dataset.seq : 1;
  }
});

setInterval(() => {
  if (document.visibilityState !== "visible") return;
  for (const element of all("#live, #log")) htmx.trigger(element, "look");
}, LOOK_EVERY);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") all("#live, #log").forEach((element) => htmx.trigger(element, "look"));
});

let followed = false;
const isOfThread = (target) => ["thread", "added"].includes(target.id);
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const list = document.getElementById("thread");
  if (list && isOfThread(event.detail.target)) followed = isAtBottom(list);
});
document.addEventListener("htmx:oobAfterSwap", (event) => {
  const list = document.getElementById("thread");
  if (list && isOfThread(event.detail.target)) {
    list.append(...document.getElementById("added").children);
    if (followed) toBottom(list);
  }
  document.body.classList.toggle("empty", document.body.matches(".in-list") && !document.querySelector("#conversations > li"));
});

document.addEventListener("htmx:afterSettle", (event) => {
  showTimes(document);
  prepareTimes(document);
  if (event.target.id === "form") {
    const live = document.getElementById("live");
    const list = document.getElementById("thread");
    if (list) toBottom(list);
    if (live) htmx.trigger(live, "look");
    event.target.querySelector("textarea")?.focus();
  }
  if (event.target.id === "detail") document.body.classList.toggle("with-detail", event.target.childElementCount > 0);
});

// Copy, show, close, confirm.
async function copy(button) {
  const text = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  button.classList.add("copied");
  say("Copied");
  setTimeout(() => button.classList.remove("copied"), 1500);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button, a");
  if (!button) return;
  if (button.dataset.copy !== undefined) { event.preventDefault(); copy(button); }
  if (button.dataset.reveal !== undefined) {
    const secret = button.parentElement.querySelector(".secret");
    secret.textContent = secret.dataset.secret;
    button.remove();
  }
  if (button.dataset.detail !== undefined) {
    document.getElementById("live-message").value = button.dataset.detail;
    document.body.classList.add("with-detail");
  }
  if (button.dataset.close !== undefined && document.getElementById("thread")) {
    event.preventDefault();
    document.getElementById("live-message").value = "";
    document.getElementById("detail").replaceChildren();
    document.body.classList.remove("with-detail");
  }
});

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
}, true);

// Keys of the keyboard.
function move(step) {
  const links = all("#conversations a, .results a");
  const focused = links.indexOf(document.activeElement);
  const at = focused >= 0 ? focused : links.findIndex((link) => link.hasAttribute("aria-current"));
  links[Math.min(Math.max(at + step, 0), links.length - 1)]?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.target.dataset.submit !== undefined && event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    event.target.form.requestSubmit();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const writing = event.target.matches("input, textarea, select");
  if (writing && event.key !== "Escape") return;
  if (event.key === "Escape" && writing) { event.target.blur(); return; }
  if (event.key === "j" || event.key === "k") { move(event.key === "j" ? 1 : -1); return; }
  const target = all(`[data-key="${CSS.escape(event.key)}"]`).at(-1);
  if (!target) return;
  event.preventDefault();
  if (target.matches("input, textarea")) target.focus(); else target.click();
});

document.addEventListener("DOMContentLoaded", () => {
  showTimes(document);
  prepareTimes(document);
  const list = document.querySelector("[data-bottom]");
  if (list) {
    toBottom(list);
    const opened = document.getElementById("live-message")?.value;
    if (opened) document.getElementById(`m-${opened}`)?.scrollIntoView({ block: "center" });
  }
  document.querySelector("textarea[data-submit]")?.focus({ preventScroll: true });
});
