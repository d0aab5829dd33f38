// An app that receives webhooks, for Node: node receiver.mjs FORM FAULT LATE. It prints its port. See app.py.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const [form, fault, late] = process.argv.slice(2);
const KEY = Buffer.from("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "base64");
const TOKEN = "5c0ffee05c0ffee05c0ffee05c0ffee0";
const RANKS = { sent: 1, error: 2, failed: 2, delivered: 2, undelivered: 2 };
const KNOWN = new Set(
  ("MessageSid SmsSid SmsMessageSid AccountSid From To Body NumMedia NumSegments SmsStatus MessageStatus ApiVersion " +
    "ErrorCode ErrorMessage RawDlrDoneDate FromCity FromState FromZip FromCountry ToCity ToState ToZip ToCountry")
    .split(" "),
);
const seen = new Set();
const sent = new Set();
const underWay = new Set();
const handled = new Map();
const states = new Map();
let received = 0;
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
const same = (given, wanted) => given.length === wanted.length && timingSafeEqual(Buffer.from(given), Buffer.from(wanted));

function isGenuine(headers, body) {
  const given = headers["webhook-signature"];
  if (given === undefined) return fault === "missing";
  const at = headers["webhook-timestamp"];
  if (fault !== "no_time" && Math.abs(Date.now() / 1000 - at) > 300) return false;
  if (fault === "reserialized") body = Buffer.from(JSON.stringify(JSON.parse(body)));
  const signed = Buffer.concat([Buffer.from(`${headers["webhook-id"]}.${at}.`), body]);
  const wanted = "v1," + createHmac("sha256", fault === "wrong_secret" ? "another" : KEY).update(signed).digest("base64");
  const signatures = given.split(" ");
  return (fault === "one_signature" ? signatures.slice(0, 1) : signatures).some((one) => same(one, wanted));
}

function readStandard(headers, body) {
  const genuine = isGenuine(headers, body);
  const found = JSON.parse(body);
  if (fault === "strict_fields" && Object.keys(found).length > 3) throw new TypeError("unknown field");
  if (fault === "event_time" && Math.abs(Date.now() - Date.parse(found.timestamp)) > 300_000) {
    throw new TypeError("too old");
  }
  const message = found.data.message ?? { id: "test" };
  return { genuine, id: headers["webhook-id"], messageId: message.id, status: found.type.split(".")[1] };
}

function readTwilio(url, headers, body) {
  const given = Object.fromEntries(new URLSearchParams(body.toString()));
  if (fault === "strict_fields" && Object.keys(given).some((name) => !KNOWN.has(name))) throw new TypeError("unknown");
  const names = Object.keys(given).sort().filter((name) => fault !== "fixed_parameters" || KNOWN.has(name));
  const signed = url + names.map((name) => name + given[name]).join("");
  const wanted = createHmac("sha1", TOKEN).update(signed).digest("base64");
  const signature = headers["x-twilio-signature"];
  let genuine = signature === undefined ? fault === "missing" : same(signature, wanted);
  if (fault === "wrong_secret") genuine = false;
  if (given.MessageSid === undefined) throw new TypeError("no message");
  return { genuine, id: `${given.MessageSid} ${given.SmsStatus}`, messageId: given.MessageSid, status: given.SmsStatus };
}

function work(event) {
  if (event.status === "received") {
    received += 1;
    if (fault === "ignores_received" || (fault === "forgets" && received % 2 === 0)) return;
  }
  handled.set(event.messageId, (handled.get(event.messageId) ?? 0) + 1);
  const before = RANKS[states.get(event.messageId)] ?? 0;
  if (fault === "older" || (RANKS[event.status] ?? 0) >= before) states.set(event.messageId, event.status);
}

async function handle(event) {
  const first = !seen.has(event.id);
  if (fault === "race") await pause(0.05);
  if (fault === "busy") {
    underWay.add(event.id);
    await pause(0.05);
  }
  seen.add(event.id);
  if (first || fault === "twice") {
    if (fault === "worker") setTimeout(() => work(event), 300);
    else work(event);
  }
  return first;
}

async function answer(event) {
  if (Number(late)) await pause(Number(late));
  if (fault === "redirect") return [302];
  if (event.status !== "received" && event.status !== "test" && !(event.status in RANKS)) {
    return [fault === "unknown_event" ? 500 : fault === "refuses_unknown_event" ? 404 : 200];
  }
  if (event.status in RANKS && !sent.has(event.messageId)) {
    if (fault === "refuses_unknown") return [404];
    if (fault === "ignores_unknown") return [200];
  }
  if (fault === "busy" && underWay.has(event.id) && !seen.has(event.id)) return [409];
  const first = await handle(event);
  if (event.status === "received" && form === "twilio") {
    if (fault === "bad_twiml") return [200, "application/json", '{"message": "Thank you"}'];
    if (fault === "conflict" && !first) return [200, "text/xml", "<Response/>"];
    return [200, "text/xml", "<Response><Message>Thank you</Message></Response>"];
  }
  return [fault === "conflict" && !first ? 409 : 200];
}

function probe(request, url, body) {
  if (fault === "bad_probe") return [200, "text/html", "<h1>Hello</h1>"];
  if (request.method === "POST") {
    if (fault === "no_prepare") return [405];
    sent.add(new URLSearchParams(body.toString()).get("message_id"));
    return [204];
  }
  const id = url.searchParams.get("message_id");
  return [200, "application/json", JSON.stringify({ handled: handled.get(id) ?? 0, state: states.get(id) ?? null })];
}

function readBody(request) {
  return new Promise((resolve) => {
    const pieces = [];
    request.on("data", (piece) => {
      pieces.push(piece);
      if (fault === "first_piece") resolve(piece);
    });
    request.on("end", () => resolve(Buffer.concat(pieces)));
    request.on("error", () => {}); // the lab has cut the request: there is nothing to answer
  });
}

const server = createServer(async (request, response) => {
  const body = await readBody(request);
  const url = new URL(request.url, `http://${request.headers.host}`);
  let reply;
  if (url.pathname === "/probe") {
    reply = probe(request, url, body);
  } else {
    let event;
    try {
      event = form === "twilio" ? readTwilio(url.href, request.headers, body) : readStandard(request.headers, body);
    } catch (error) {
      if (fault === "crash" && !body.length) throw error; // nobody catches it, so the process ends
      reply = [400];
    }
    if (event !== undefined) {
      if (fault === "acts_first") await handle(event);
      reply = event.genuine ? await answer(event) : [form === "twilio" ? 403 : 401];
    }
  }
  const [status, type, text] = reply;
  response.writeHead(status, type ? { "Content-Type": type } : {}).end(text ?? "");
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
