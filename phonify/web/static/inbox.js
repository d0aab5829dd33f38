// Functions of the pages: polling for changes, copying, keyboard shortcuts, local times.
"use strict";

const LOOK_EVERY = 1000; // milliseconds

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const say = (text) => { document.getElementById("said").textContent = text; };

// Return the day of a moment. If the year is this year, it is left out.
function writeDay(moment, options) {
  const year = moment.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return moment.toLocaleDateString(undefined, { day: "numeric", year, ...options });
}

// The times in a page are in UTC. Show them in the time zone of the person.
function showTimes(within) {
  for (const time of all("time[datetime]", within)) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.valueOf()) || time.dataset.shown === time.dateTime) continue;
    const timeStyle = time.closest(".steps, .deliveries") ? "medium" : "short";
    const clock = moment.toLocaleTimeString(undefined, { timeStyle });
    const day = writeDay(moment, { month: "short" });
    const isToday = moment.toDateString() === new Date().toDateString();
    if (isToday || time.matches(".open > time")) time.textContent = clock; // in a thread, the day is above
    else time.textContent = time.closest("#conversations") ? day : `${day}, ${clock}`;
    time.title = moment.toLocaleString();
    time.dataset.shown = time.dateTime;
  }
}

// Show the day above the first message of each day. A day begins at midnight in the time zone of the person.
function showDays() {
  let above;
  for (const bubble of all("#thread > .bubble")) {
    const moment = new Date(bubble.dataset.created);
    if (moment.toDateString() === above) delete bubble.dataset.day;
    else bubble.dataset.day = writeDay(moment, { weekday: "long", month: "long" });
    above = moment.toDateString();
  }
}

// The name of a country is for screen readers, and for a mouse over its code.
const countries = new Intl.DisplayNames(undefined, { type: "region" });
function nameCountries() {
  for (const chip of all(".country")) {
    if (chip.title) continue;
    chip.title = countries.of(chip.textContent);
    chip.setAttribute("aria-label", chip.title);
  }
}

// The title of the tab begins with the number of unread conversations.
function countUnread() {
  const unread = Number(document.querySelector("[data-unread]")?.dataset.unread);
  document.title = (unread ? `(${unread}) ` : "") + document.title.replace(/^\(\d+\) /, "");
}

const findOpened = () => document.getElementById(`m-${document.querySelector("#detail [data-message]")?.dataset.message}`);

function markOpened() {
  for (const link of all("#thread .open[aria-current]")) link.removeAttribute("aria-current");
  findOpened()?.querySelector(".open").setAttribute("aria-current", "true");
  document.body.classList.toggle("with-detail", document.querySelector("#detail > *") !== null);
}

function show() {
  showTimes(document);
  showDays();
  nameCountries();
  prepareTimes(document);
  countUnread();
  markOpened();
}

// A time field shows the time zone of the person. The form sends the time in UTC.
function prepareTimes(within) {
  for (const field of all("input[data-utc]", within)) {
    if (field.dataset.prepared) continue;
    field.dataset.prepared = "yes";
    if (field.value) {
      const moment = new Date(`${field.value}Z`);
      field.value = new Date(moment - moment.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
      field.defaultValue = field.value; // without this, the field would count as edited by the person
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

// Live elements. While the page is visible, each one is requested every second with the ETag of its content.
const etags = new WeakMap();

function look() {
  if (document.visibilityState !== "visible") return;
  for (const element of all("[data-live]")) htmx.trigger(element, "look");
}
setInterval(look, LOOK_EVERY);
document.addEventListener("visibilitychange", look);

document.addEventListener("htmx:configRequest", (event) => {
  const { headers, parameters } = event.detail;
  if (!event.target.matches("[data-live], [data-live] form, .write")) return;
  const etag = etags.get(event.target);
  if (etag) headers["If-None-Match"] = etag;
  // The answer must contain all rows and messages that the page shows now.
  parameters.shown = all("#conversations > li:not(.more), .deliveries > li").length;
  const first = document.querySelector("#thread > li[data-seq]");
  if (first) parameters.since = first.dataset.seq;
});

const isEdited = (within) => all("input:not([type=radio]), textarea", within).some((field) => field.value !== field.defaultValue);

// Return whether to ignore an answer for a live element. Ignore it if the element was closed or replaced since the
// request. Ignore it also if a person edits a form in the element. But do not ignore it if the message was removed.
function isUseless({ requestConfig, target, xhr }) {
  return !target.isConnected || requestConfig.headers["If-None-Match"] !== etags.get(target)
    || (isEdited(target) && xhr.responseText.includes("data-live"));
}

let followed = false; // whether the end of the thread was visible
function prepareSwap(event) {
  const { requestConfig, target, xhr } = event.detail; // requestConfig and xhr exist only for the request's own target
  if (requestConfig?.elt.matches("[data-live]") && isUseless(event.detail)) event.detail.shouldSwap = false;
  if (event.detail.shouldSwap) etags.set(target, xhr?.getResponseHeader("ETag") ?? undefined);
  const thread = document.getElementById("thread");
  followed = thread !== null && thread.scrollHeight - thread.scrollTop - thread.clientHeight < 80;
}

function finishSwap(event) {
  show();
  if (followed) toBottom();
  const { classList } = document.body;
  classList.toggle("empty", classList.contains("in-list") && !document.querySelector("#conversations > li"));
  const asked = event.detail.requestConfig?.elt;
  if (asked?.matches(".list-head")) document.querySelector("#conversations a").focus({ preventScroll: true });
  if (!asked?.matches(".open")) return;
  findOpened()?.scrollIntoView({ block: "nearest" }); // the thread may have become narrower
  document.querySelector("#detail .close").focus({ preventScroll: true });
}

function toBottom() {
  const thread = document.getElementById("thread");
  if (thread) thread.scrollTop = thread.scrollHeight;
}

for (const name of ["htmx:beforeSwap", "htmx:oobBeforeSwap"]) document.addEventListener(name, prepareSwap);
for (const name of ["htmx:afterSwap", "htmx:oobAfterSwap"]) document.addEventListener(name, finishSwap);

document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id !== "form") return;
  toBottom();
  event.target.querySelector("textarea").focus();
});

// Buttons: copy, show, close, confirm.
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
  // A click on a text shows its details, unless the person has selected a part of the text.
  if (!button && String(getSelection()) === "") event.target.closest(".bubble .text")?.parentElement.querySelector(".open").click();
  if (!button) return;
  if (button.dataset.copy !== undefined) { event.preventDefault(); copy(button); }
  if (button.dataset.reveal !== undefined) {
    const secret = button.parentElement.querySelector(".secret");
    secret.textContent = secret.dataset.secret;
    button.remove();
  }
  if (button.dataset.close !== undefined && document.getElementById("thread")) {
    event.preventDefault();
    const opened = findOpened();
    document.getElementById("detail").replaceChildren();
    markOpened();
    (opened?.querySelector(".open") ?? document.getElementById("thread")).focus();
  }
});

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
}, true);

// Keyboard shortcuts.
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
  // If a person has typed something, Escape does not leave the page.
  if (event.key === "Escape" && target.dataset.close === undefined && isEdited(document)) return;
  event.preventDefault();
  if (target.matches("input, textarea")) target.focus(); else target.click();
});

document.addEventListener("DOMContentLoaded", () => {
  // A notice shows the result of the last click. A reload must not show the notice again.
  if (document.querySelector(".notice, [data-notice]")) history.replaceState(null, "", location.pathname + location.hash);
  show();
  toBottom();
  findOpened()?.scrollIntoView({ block: "center" });
  document.querySelector("#conversations [aria-current]")?.scrollIntoView({ block: "nearest" });
  // On a touch screen, the focus would open the keyboard over the thread.
  const writes = window.matchMedia("(pointer: fine) and (min-width: 761px)").matches;
  if (writes) document.querySelector("textarea[data-submit]")?.focus({ preventScroll: true });
});
