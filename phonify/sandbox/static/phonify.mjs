// A client of a Phonify server for tests, without dependencies, for Node 18 and browsers. phonify.d.mts describes it.
const LONGEST = 20_000; // milliseconds: the longest `wait` of a request; each request can take this time in addition
const TWILIO = ["authToken", "inboundUrl", "inboundMethod", "fallbackUrl", "fallbackMethod"];
const PARTS = { code: "a one-time code", links: "a link" };
const NONE = "No message arrived. Does the app use the `url` and the `apiKey` of this test?";
const { setTimeout, performance } = globalThis; // stored here, because a test can stop the clock
const now = performance.now.bind(performance);

export class PhonifyError extends Error { name = "PhonifyError"; }
export const connect = (url, key) => new Phonify(url, key);

export class Phonify {
  #returned = new Set();
  #begun = now();
  constructor(url, key) {
    Object.assign(this, { url: new URL(url).href.replace(/\/+$/, ""), apiKey: key });
  }

  async messages(criteria = {}) {
    const wanted = want(criteria);
    return (await this.#list(wanted.query)).filter((message) => !listMisses(wanted, message).length);
  }

  waitFor = async ({ timeout, ...criteria } = {}) => this.#waitFor(want(criteria), timeout);
  code = async ({ timeout, ...criteria } = {}) => (await this.#waitFor(want(criteria, "code"), timeout)).code;
  link = async ({ timeout, ...criteria } = {}) => (await this.#waitFor(want(criteria, "links"), timeout)).links[0];

  async assertNone({ within = 500, ...criteria } = {}) {
    const wanted = want(criteria), found = await this.#find(wanted, within);
    if (found) throw new PhonifyError(`an unwanted ${name(wanted)} arrived:\n  ${show(found)}`);
  }

  async reply(phone, body, { to } = {}) {
    const { direction, ...sides } = typeof phone === "string" ? { to: phone } : phone;
    const [from, answered] = direction === "inbound" ? [sides.origin, sides.to] : [sides.to, sides.origin];
    return read((await this.#call("POST", "/sandbox/inbound", { from, to: to ?? answered, body })).message);
  }

  async clear(criteria = {}) {
    const { query, contains } = want({ direction: null, ...criteria });
    return (await this.#call("DELETE", "/sandbox/messages", { ...query, q: contains })).removed;
  }
  setWebhook = async (url) => (await this.#call("PUT", "/v1/webhook", { url })).webhook.secret;
  rules = async () => (await this.#call("GET", "/sandbox/rules", {})).rules;
  addRule = async (outcome, settings) => (await this.#call("POST", "/sandbox/rules", { outcome, ...settings })).rule;
  deleteRule = async ({ id }) => void (await this.#call("DELETE", `/sandbox/rules/${id}`, {}));
  loadScenario = async (scenario) => (await this.#call("PUT", "/sandbox/rules", { scenario })).rules;
  force = async ({ id }, outcome, more) => this.#call("POST", `/sandbox/messages/${id}/outcome`, { outcome, ...more });

  async run({ name, ttl, ...twilio } = {}) {
    const given = { name, ttl };
    for (const key in twilio) {
      if (!TWILIO.includes(key)) refuse(key, "can't be set for a run", '{ name: "sign-up" }');
      given[key.replace(/[A-Z]/, (letter) => `_${letter.toLowerCase()}`)] = twilio[key];
    }
    const { id, api_key, expires_at: expiresAt, twilio: kept } = (await this.#call("POST", "/sandbox/runs", given)).run;
    const end = async () => void (await this.#call("DELETE", `/sandbox/runs/${id}`, {}, { also: 404 }));
    const shown = { id, expiresAt, accountSid: kept.account_sid, authToken: kept.auth_token, end };
    return Object.assign(new Phonify(this.url, api_key), shown);
  }

  async #waitFor(wanted, timeout = 5_000) {
    const one = await this.#find(wanted, timeout);
    if (one) return this.#returned.add(one.id) && one;
    throw new PhonifyError(`no ${name(wanted)} arrived within ${timeout} ms. ${await this.#report(wanted)}`);
  }

  async #find(wanted, milliseconds) {
    for (const begun = now(); ; ) {
      const listed = await this.#list(wanted.query);
      const found = listed.find((one) => !this.#returned.has(one.id) && !listMisses(wanted, one).length);
      const remaining = milliseconds - (now() - begun);
      if (found || remaining <= 0) return found;
      const wait = Math.min(remaining, LONGEST);
      const given = { ...wanted.query, after: listed.at(-1)?.id, limit: 1, wait: (wait / 1_000).toFixed(3) };
      // With `after`, the server would miss an older message that gets the wanted state.
      const canWait = !wanted.query.state || !listed.length;
      const answer = canWait ? await this.#call("GET", "/sandbox/messages", given, { wait, also: 429 }) : {};
      // Without messages, there was no request, or too many requests wait already.
      if (!answer.messages) await new Promise((resolve) => setTimeout(resolve, Math.min(20, wait)));
    }
  }

  async #list(query, limit = 1_000) {
    const page = (await this.#call("GET", "/sandbox/messages", { ...query, limit })).messages.map(read).reverse();
    return page.length < 1_000 ? page : [...(await this.#list({ ...query, before: page[0].id })), ...page];
  }

  async #report(wanted) {
    const { problems = [] } = await this.#call("GET", "/sandbox/problems", {}, { also: 404 });
    const recent = problems.filter((one) => one.seconds_ago * 1_000 <= now() - this.#begun).slice(-5);
    const others = recent.length ? ["The server reports problems:", ...recent.map(({ text }) => `  ${text}`)] : [];
    const came = await this.#list({}, 50);
    if (!came.length) return [NONE, ...others].join("\n");
    const misses = came.map((message) => listMisses(wanted, message));
    for (const [key, words] of [["to", "not to"], ["origin", "not from"], ["direction", "not"]]) {
      const value = wanted.query[key];
      const ids = value ? (await this.#list({ [key]: value })).map(({ id }) => id) : came.map(({ id }) => id);
      came.forEach(({ id }, at) => ids.includes(id) || misses[at].unshift(`${words} ${value}`));
    }
    const fewest = Math.min(...misses.map((missed) => missed.length));
    const why = (own) => (own.length === fewest ? "closest, but " : "") + (own.join(", ") || "already returned");
    const lines = came.map((one, at) => `  ${show(one)} ${why(misses[at])}`);
    return ["These messages arrived:", ...lines, ...others].join("\n");
  }

  async #call(method, path, given, { wait = 0, also = 0 } = {}) {
    const query = new URLSearchParams(Object.entries(given).filter(([, value]) => value != null));
    const body = method === "POST" || method === "PUT" ? query : undefined;
    const headers = { Authorization: `Basic ${btoa(`${this.apiKey}:`)}` };
    const signal = AbortSignal.timeout(LONGEST + Math.ceil(wait));
    let response, answer;
    try {
      response = await fetch(this.url + path + (body ? "" : `?${query}`), { method, body, headers, signal });
      answer = await response.json();
    } catch (cause) {
      const reason = cause.cause?.message || cause.cause?.code || cause.message;
      throw new PhonifyError(`no valid answer from ${this.url}: is Phonify running there? (${reason})`, { cause });
    }
    if (response.ok || response.status === also) return answer;
    if (response.status === 401) throw new PhonifyError(`the API key is not valid at ${this.url}`);
    const texts = answer.errors?.map(({ param, title }) => (param ? `${place(param)}: ${title}` : title)).join(" ");
    throw new PhonifyError(`${method} ${this.url}${path} was answered with ${response.status}. ${texts}`);
  }
}

const place = (param) => // people count the rules of a scenario from 1
  param.replace(/^rules\[(\d+)\]/, (_, index) => `rule ${Number(index) + 1}`).replace(/^(rule \d+)\./, "$1: ");

function refuse(key, why, example) { // a text in place of an object has the keys 0, 1, ...
  throw new TypeError(key === "0" ? `the argument must be an object, such as ${example}` : `${key} ${why}`);
}
function want({ to, origin, contains, state, direction = "outbound", ...unknown }, part) {
  for (const wrong in unknown) refuse(wrong, "is not a criterion", '{ to: "+14560000000" }');
  return { query: { to, origin, state, direction }, contains, part };
}

function listMisses({ query: { state }, contains, part }, message) {
  return [
    contains != null && !message.body.toLowerCase().includes(contains.toLowerCase()) && `without '${contains}'`,
    part && !message[part]?.length && `without ${PARTS[part]}`,
    state && message.state !== state && `not ${state}`,
  ].filter(Boolean);
}

function name({ query: { direction, origin, to, state }, contains, part }) {
  const words = [direction && `${direction} `, "message", origin && ` from ${origin}`, to && ` to ${to}`];
  const contents = [contains != null && ` with '${contains}'`, part && ` with ${PARTS[part]}`];
  return [...words, ...contents, state && ` in state ${state}`].filter(Boolean).join("");
}

function read({ id, direction, to, body, state, errors = [], code = null, links = [], rule = {}, ...shown }) {
  const facts = { code, links, receipt: shown.receipt?.status ?? null, errors: errors.map(({ type }) => type) };
  const met = { rule: rule.name ?? rule.id ?? null };
  return { id, direction, origin: shown.origin.number, to, body, state, createdAt: shown.created_at, ...facts, ...met };
}

const show = ({ createdAt, origin, to, state, errors, body }) =>
  `<Message ${createdAt.slice(11)} ${origin} > ${to} ${[state, ...errors].join(" ")} '${body}'>`;
