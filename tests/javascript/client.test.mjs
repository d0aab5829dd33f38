// Tests of the client for JavaScript. test_javascript.py starts the server and runs this file.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { test } from "node:test";

import { connect, PhonifyError } from "./phonify.mjs";

const [ALICE, BOB] = ["+14560000001", "+14560000002"];
const account = connect(process.env.TEST_URL, process.env.TEST_KEY);

async function send(phonify, to, body, more = {}) {
  const form = new URLSearchParams({ api_key: phonify.apiKey, to, body, ...more });
  await (await fetch(`${phonify.url}/v1/messages`, { method: "POST", body: form })).json();
}

/** Define a test that has its own run. */
function check(name, body) {
  test(name, async () => {
    const run = await account.run({ name: name.slice(0, 100) });
    try {
      await body(run);
    } finally {
      await run.end();
    }
  });
}

async function failureOf(promise) {
  const error = await promise.then(() => assert.fail("it did not fail"), (error) => error);
  assert(error instanceof PhonifyError, error);
  return error.message.split("\n");
}

check("a message that is sent later is waited for", async (run) => {
  const sending = new Promise((resolve) => setTimeout(resolve, 100)).then(() => send(run, ALICE, "Welcome"));
  const message = await run.waitFor({ to: ALICE, contains: "WELCOME" });
  await sending;
  assert.equal(message.body, "Welcome");
  assert.deepEqual([message.origin, message.to, message.direction, message.errors], ["+15005550006", ALICE, "outbound", []]);
});

check("what is there already is returned oldest first and once", async (run) => {
  for (const body of ["first", "second"]) await send(run, ALICE, body);
  assert.equal((await run.waitFor({ to: ALICE })).body, "first");
  assert.equal((await run.waitFor({ to: ALICE })).body, "second");
  const [, , last] = await failureOf(run.waitFor({ to: ALICE, timeout: 0 }));
  assert.match(last, /'second'> closest, but already returned$/);
});

check("a code and a link are read out of the messages that have one", async (run) => {
  await send(run, ALICE, "Welcome");
  await send(run, BOB, "Your code is 111111");
  await send(run, ALICE, "Your code is 222222, or open https://acme.example/in");
  assert.equal(await run.code({ to: ALICE }), "222222");
  assert.equal(await run.code(), "111111");
  assert.equal(await connect(run.url, run.apiKey).link(), "https://acme.example/in");
});

check("a wait with a state sees the outcome of a message", async (run) => {
  await send(run, ALICE, "Hello");
  assert.equal((await run.waitFor({ state: "sent" })).to, ALICE);
  await send(run, "+15005550004", "Hello");
  await send(run, BOB, "Hello");
  assert.equal((await run.waitFor({ state: "sent" })).to, BOB);
  assert.deepEqual((await run.waitFor({ state: "error" })).errors, ["blocked_by_recipient"]);
  await send(run, "+15005550013", "Hello");
  const receipts = [(await run.waitFor({ to: "+15005550013", state: "sent" })).receipt];
  assert.deepEqual([...receipts, (await run.messages({ to: BOB }))[0].receipt], ["undelivered", null]);
});

check("all messages are listed, however many", async (run) => {
  await send(run, BOB, "Hello");
  const body = JSON.stringify({ api_key: run.apiKey, to: Array(1_000).fill(ALICE), body: "Hello" });
  const headers = { "Content-Type": "application/json" };
  await (await fetch(`${run.url}/v1/messages`, { method: "POST", body, headers })).json();
  const messages = await run.messages();
  assert.equal(messages.length, 1_001);
  assert.equal(messages[0].to, BOB);
  assert.deepEqual((await run.messages({ to: BOB })).map(({ to }) => to), [BOB]);
});

check("a failing wait says what did come and what nearly matched", async (run) => {
  await send(run, ALICE, "Welcome");
  await send(run, BOB, "Your code is 4821");
  for (const to of [ALICE, BOB]) await run.waitFor({ to, state: "sent" });
  await run.reply(ALICE, "STOP");
  const [first, ...lines] = await failureOf(run.waitFor({ to: ALICE, contains: "code", timeout: 50 }));
  assert.equal(first, `no outbound message to ${ALICE} with 'code' arrived within 50 ms. These messages arrived:`);
  assert.deepEqual(lines.map((line) => line.split(/^ +<Message \S+ /)[1]), [
    `+15005550006 > ${ALICE} sent 'Welcome'> closest, but without 'code'`,
    `+15005550006 > ${BOB} sent 'Your code is 4821'> closest, but not to ${ALICE}`,
    `${ALICE} > +15005550006 sent 'STOP'> not outbound, not to ${ALICE}, without 'code'`,
  ]);
});

check("a failing wait says that nothing came", async (run) => {
  const [line] = await failureOf(run.code({ timeout: 0 }));
  assert.match(line, /^no outbound message with a one-time code arrived within 0 ms\. No message arrived\. Does the app/);
});

check("none is asserted of what was not waited for", async (run) => {
  await send(run, ALICE, "Hello");
  await run.waitFor();
  await run.assertNone({ within: 50 });
  await send(run, BOB, "Hello");
  await run.assertNone({ to: ALICE, within: 0 });
  const [first, line] = await failureOf(run.assertNone({ to: BOB }));
  assert.equal(first, `an unwanted outbound message to ${BOB} arrived:`);
  assert.match(line, /'Hello'>$/);
});

check("a phone replies to the sender of a message, or of the last one that it got", async (run) => {
  await send(run, ALICE, "Reply YES", { origin: "+14560000077" });
  const asked = await run.waitFor();
  await send(run, ALICE, "And this is another", { origin: "+14560000078" });
  assert.equal((await run.reply(asked, "YES")).to, "+14560000077");
  assert.equal((await run.reply(ALICE, "YES")).to, "+14560000078");
  assert.equal((await run.reply(ALICE, "YES", { to: "60777" })).to, "60777");
  const first = await run.reply(BOB, "Hello?");
  assert.deepEqual([first.to, (await run.reply(first, "Anyone?")).origin], ["+15005550006", BOB]);
});

check("messages are removed", async (run) => {
  for (const to of [ALICE, ALICE, BOB]) await send(run, to, "Hello");
  await run.reply(ALICE, "Hello");
  assert.equal(await run.clear({ to: ALICE, contains: "HELLO" }), 2);
  assert.equal(await run.clear(), 2);
  assert.deepEqual(await run.messages({ direction: null }), []);
});

check("runs see nothing of each other, and a run that has ended has no key", async (run) => {
  const other = await account.run({ ttl: 60 });
  await send(run, ALICE, "Hello");
  assert.deepEqual(await other.messages(), []);
  await other.end();
  await other.end();
  assert.deepEqual(await failureOf(other.messages()), [`the API key is not valid at ${account.url}`]);
  assert.equal((await run.messages()).length, 1);
});

check("a run has what an app with Twilio's SDK needs, and takes its settings", async () => {
  const run = await account.run({ ttl: 60, authToken: "token-of-the-app", inboundUrl: "http://127.0.0.1:9/sms" });
  try {
    const headers = { Authorization: `Basic ${btoa(`${run.accountSid}:${run.authToken}`)}` };
    const response = await fetch(`${run.url}/2010-04-01/Accounts/${run.accountSid}.json`, { headers });
    assert.deepEqual([response.status, run.authToken], [200, "token-of-the-app"]);
    const settings = await fetch(`${run.url}/sandbox/twilio?api_key=${run.apiKey}`);
    assert.equal((await settings.json()).twilio.inbound_url, "http://127.0.0.1:9/sms");
  } finally {
    await run.end();
  }
  await assert.rejects(account.run({ token: "x" }), { name: "TypeError", message: "token can't be set for a run" });
});

check("a failing wait lists refused requests and failed webhooks of this test", async (run) => {
  const headers = { Authorization: `Basic ${btoa(`${run.accountSid}:${run.authToken}`)}` };
  const body = new URLSearchParams({ To: "123", From: "+15005550006", Body: "Hello" });
  await fetch(`${run.url}/2010-04-01/Accounts/${run.accountSid}/Messages.json`, { method: "POST", headers, body });
  const [, ...lines] = await failureOf(run.waitFor({ timeout: 0 }));
  assert.deepEqual(lines, [
    "The server reports problems:",
    "  refused message to 123: 21211 The 'To' number 123 is not a valid phone number.",
  ]);
});

check("a wrong argument is refused", async (run) => {
  assert.match((await failureOf(run.waitFor({ to: "14560000001" })))[0], /400\. to: Not a valid E\.164 number\./);
  assert.match((await failureOf(run.messages({ state: "sending" })))[0], /state: The state must be/);
  await assert.rejects(run.waitFor({ number: ALICE }), { name: "TypeError", message: "number is not a criterion" });
  assert.throws(() => connect("127.0.0.1", "key"), TypeError);
  const wrong = 'the argument must be an object, such as { to: "+14560000000" }';
  for (const call of [run.waitFor, run.code, (text) => run.messages(text), (text) => run.clear(text)]) {
    await assert.rejects(call("hello"), { name: "TypeError", message: wrong });
  }
  const message = 'the argument must be an object, such as { name: "sign-up" }';
  await assert.rejects(account.run("hello"), { name: "TypeError", message });
});

test("the error names the URL where no server is, or another one", async () => {
  const server = createServer((request, response) => response.end("<html>"));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  for (let turn = 0; turn < 2; turn++) {
    const [line] = await failureOf(connect(url, "key").messages());
    assert(line.startsWith(`no valid answer from ${url}: is Phonify running there? (`), line);
    await new Promise((resolve) => server.close(resolve));
  }
});

check("a wait ends where the test has stopped the clock", async (run) => {
  const { performance } = globalThis;
  globalThis.performance = { now: () => 0 };
  try {
    await failureOf(run.waitFor({ timeout: 50 }));
  } finally {
    globalThis.performance = performance;
  }
});

check("a webhook is set, and hears of a reply with a signature", async (run) => {
  const received = [];
  const app = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      received.push({ headers: request.headers, body });
      response.writeHead(204).end();
    });
  });
  await new Promise((resolve) => app.listen(0, "127.0.0.1", resolve));
  try {
    const secret = await run.setWebhook(`http://127.0.0.1:${app.address().port}/sms`);
    await run.reply(ALICE, "YES");
    await run.waitFor({ direction: "inbound", state: "sent" });
    const [{ headers, body }] = received;
    const key = Buffer.from(secret.replace("whsec_", ""), "base64");
    const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    assert.equal(headers["webhook-signature"], `v1,${createHmac("sha256", key).update(signed).digest("base64")}`);
    assert.equal(JSON.parse(body).data.message.body, "YES");
  } finally {
    app.closeAllConnections();
    app.close();
  }
  assert.match((await failureOf(run.setWebhook("ftp://127.0.0.1/")))[0], /400\. url: Not a valid webhook URL\./);
});

check("a rule decides what happens, and the message names it", async (run) => {
  const rule = await run.addRule("failed", { to: "+1456*", error: "unreachable_handset", name: "off" });
  await send(run, ALICE, "Hello");
  const message = await run.waitFor({ state: "error" });
  assert.deepEqual([message.errors, message.rule], [["unreachable_handset"], "off"]);
  assert.deepEqual((await run.rules()).map(({ id, used }) => [id, used]), [[rule.id, 1]]);
  await run.deleteRule(rule);
  assert.deepEqual(await run.rules(), []);
});

check("a scenario replaces the rules, and a message that waits gets an outcome", async (run) => {
  await run.addRule("sent");
  const [rule] = await run.loadScenario('[[rules]]\noutcome = "delayed"\nseconds = 3600\n');
  assert.equal(rule.seconds, 3600);
  await send(run, ALICE, "Hello");
  await run.force(await run.waitFor(), "undelivered", { error: "unknown_handset" });
  await run.waitFor({ state: "sent", timeout: 5_000 }).catch(() => {});
  assert.equal((await run.messages({ state: "sent" }))[0].receipt, "undelivered");
});

check("a wrong setting of a rule is told", async (run) => {
  const [line] = await failureOf(run.addRule("failed", { eror: "unreachable_handset" }));
  assert.match(line, /eror: This request has no argument with this name/);
  const [other] = await failureOf(run.loadScenario('[[rules]]\noutcome = "sent"\n[[rules]]\noutcome = "delayed"\n'));
  assert.match(other, /400\. rule 2: seconds: This argument is missing\./);
});
