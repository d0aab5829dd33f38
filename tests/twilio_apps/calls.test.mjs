// The calls of Twilio's package for Node, unchanged, against the server at TWILIO_URL.
import assert from "node:assert/strict";
import { test } from "node:test";
import twilio from "twilio";

const { TWILIO_ACCOUNT_SID: accountSid, TWILIO_AUTH_TOKEN: authToken, TWILIO_URL } = process.env;
const client = twilio(accountSid, authToken);
client.api.baseUrl = TWILIO_URL;
const to = "+14155552671";
const from = "+15005550006";
const service = `MG${"a".repeat(32)}`;

async function waitFor(message, status) {
  const end = Date.now() + 20_000;
  for (;;) {
    const found = await client.messages(message.sid).fetch();
    if (found.status === status) return found;
    assert.ok(Date.now() < end, `${found.status} instead of ${status}`);
  }
}

test("a message is created, fetched, redacted and removed", async () => {
  const sent = await client.messages.create({ to, from, body: "Hello 🎉" });
  assert.match(sent.sid, /^SM[0-9a-f]{32}$/);
  assert.ok(sent.dateCreated instanceof Date && !Number.isNaN(sent.dateCreated.getTime()));
  const found = await waitFor(sent, "delivered");
  assert.equal(found.body, "Hello 🎉");
  assert.equal(found.price, "-0.00830");
  assert.ok(found.dateSent instanceof Date);
  assert.equal((await client.messages(sent.sid).update({ body: "" })).body, "");
  assert.equal(await client.messages(sent.sid).remove(), true);
  await assert.rejects(client.messages(sent.sid).fetch(), { status: 404, code: 20404 });
});

test("a scheduled message is cancelled", async () => {
  const sendAt = new Date(Date.now() + 3_600_000);
  const sent = await client.messages.create({
    to, body: "Later", messagingServiceSid: service, scheduleType: "fixed", sendAt,
  });
  assert.equal(sent.status, "scheduled");
  assert.equal((await client.messages(sent.sid).update({ status: "canceled" })).status, "canceled");
});

test("a service chooses the sender", async () => {
  const sent = await client.messages.create({ to, body: "Hello", messagingServiceSid: service });
  assert.deepEqual([sent.status, sent.from, sent.numSegments], ["accepted", null, "0"]);
  assert.equal((await waitFor(sent, "delivered")).from, from);
});

test("lists have pages in both directions, and filters", async () => {
  const mine = "+14155550001";
  for (let number = 0; number < 7; number++) await client.messages.create({ to: mine, from, body: String(number) });
  const texts = (messages) => messages.map((message) => message.body).join("");
  assert.equal(texts(await client.messages.list({ to: mine, pageSize: 3 })), "6543210");
  assert.equal(texts(await client.messages.list({ to: mine, limit: 4, pageSize: 2 })), "6543");
  const first = await client.messages.page({ to: mine, pageSize: 3 });
  const second = await first.nextPage();
  const third = await second.nextPage();
  assert.deepEqual([first, second, third].map((page) => texts(page.instances)), ["654", "321", "0"]);
  assert.equal(await third.nextPage(), undefined);
  assert.equal(texts((await third.previousPage()).instances), "321");
  const seen = [];
  await client.messages.each({ to: mine, pageSize: 2, callback: (message) => seen.push(message) });
  assert.equal(texts(seen), "6543210");
  const future = new Date(Date.now() + 86_400_000);
  assert.equal((await client.messages.list({ dateSentAfter: future })).length, 0);
});

test("media, feedback and the account are there", async () => {
  const mediaUrl = ["https://example.com/a.png", "https://example.com/b.pdf"];
  const sent = await client.messages.create({ to, from, mediaUrl });
  assert.match(sent.sid, /^MM/);
  const media = await client.messages(sent.sid).media.list();
  assert.deepEqual(media.map((one) => one.contentType), ["image/png", "application/pdf"]);
  assert.equal((await client.messages(sent.sid).media(media[0].sid).fetch()).parentSid, sent.sid);
  const feedback = await client.messages(sent.sid).feedback.create({ outcome: "confirmed" });
  assert.equal(feedback.outcome, "confirmed");
  const account = await client.api.accounts(accountSid).fetch();
  assert.deepEqual([account.status, account.type, account.friendlyName], ["active", "Full", "default"]);
});

test("errors have code, status and message", async () => {
  await assert.rejects(client.messages.create({ to: "+1", from, body: "Hello" }), {
    status: 400,
    code: 21211,
    message: "The 'To' number +1 is not a valid phone number.",
    moreInfo: "https://www.twilio.com/docs/errors/21211",
  });
  const wrong = twilio(accountSid, "0".repeat(32));
  wrong.api.baseUrl = TWILIO_URL;
  await assert.rejects(wrong.messages.list(), { status: 401, code: 20003 });
});
