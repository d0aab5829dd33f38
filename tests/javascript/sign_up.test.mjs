// A test that signs up in a browser. The app sends the code with Phonify.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

import { startApp } from "./app.mjs";
import { connect } from "./phonify.mjs";

const PHONE = "+14560000001";
const account = connect(process.env.TEST_URL, process.env.TEST_KEY);
let browser;

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.TEST_CHROMIUM, args: ["--no-sandbox"] });
});
after(() => browser?.close());

/** Sign up with a new run. Return the code and the number of messages in the run. */
async function signUp(name) {
  const run = await account.run({ name });
  const app = await startApp(run);
  const page = await browser.newPage();
  try {
    await page.goto(app.url);
    await page.getByLabel("Phone").fill(PHONE);
    await page.getByRole("button").click();
    const code = await run.code({ to: PHONE });
    await page.getByLabel("Code").fill(code);
    await page.getByRole("button").click();
    await page.getByRole("heading", { name: "Welcome" }).waitFor({ timeout: 10_000 });
    return { code, seen: (await run.messages({ direction: null })).map(({ body }) => body) };
  } finally {
    await page.close();
    app.stop();
    await run.end();
  }
}

test("the code of the text signs a person up", async () => {
  const { code, seen } = await signUp("sign-up");
  assert.deepEqual(seen, [`Your Acme code is ${code}`]);
});

test("two runs at the same time with the same number do not see each other", async () => {
  const both = await Promise.all([signUp("one"), signUp("other")]);
  for (const { code, seen } of both) assert.deepEqual(seen, [`Your Acme code is ${code}`]);
});
