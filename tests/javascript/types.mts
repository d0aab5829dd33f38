// Tests of the types: code that tsc accepts, and code that tsc refuses.

import { connect, PhonifyError, type Message, type Phonify, type Run } from "./phonify.mjs";

const phonify: Phonify = connect("http://127.0.0.1:8000", "key");
const run: Run = await phonify.run({ name: "test", ttl: 60 });
const twilio: Run = await phonify.run({ authToken: "token", inboundUrl: run.url, inboundMethod: "GET" });
console.log(twilio.accountSid, twilio.authToken);
const message: Message = await run.waitFor({ to: "+14560000001", state: "sent", direction: null, timeout: 1_000 });
const texts: string[] = [await run.code({ to: message.to }), await run.link({ contains: "open" }), message.errors[0]!];
const removed: number = await run.clear();
await run.reply(message, "YES", { to: "60777" });
await run.assertNone({ within: 100 });
await run.end();
console.log(texts, removed, (await run.messages())[0]?.code, await run.setWebhook(run.url), PhonifyError.name);

// @ts-expect-error - not a criterion
await run.waitFor({ number: "+14560000001" });
// @ts-expect-error - not a state
await run.messages({ state: "sending" });
// @ts-expect-error - not a setting of a run
await phonify.run({ inbound_url: run.url });
// @ts-expect-error - only a run ends
await phonify.end();
