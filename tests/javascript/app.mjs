// A small web app that signs people up with a code, which it sends through Phonify.

import { randomInt } from "node:crypto";
import { createServer } from "node:http";

/** Start the app. It asks for a number, sends a code to it, and asks for the code. */
export async function startApp({ url, apiKey }, port = 0) {
  const page = (form) => `<!doctype html><title>Acme</title><form method="post">${form}<button>Go on</button></form>`;
  const codes = new Map();
  const app = createServer(async (request, response) => {
    let data = "";
    for await (const part of request) data += part;
    const form = new URLSearchParams(data);
    const number = form.get("number");
    response.setHeader("Content-Type", "text/html");
    if (!number) return response.end(page('<label>Phone <input name="number"></label>'));
    if (form.has("code")) {
      return response.end(form.get("code") === codes.get(number) ? "<h1>Welcome</h1>" : "<h1>Wrong code</h1>");
    }
    codes.set(number, String(randomInt(100_000, 1_000_000)));
    const message = { api_key: apiKey, to: number, body: `Your Acme code is ${codes.get(number)}` };
    await fetch(`${url}/v1/messages`, { method: "POST", body: new URLSearchParams(message) });
    response.end(page(`<input type="hidden" name="number" value="${number}"><label>Code <input name="code"></label>`));
  });
  await new Promise((resolve) => app.listen(port, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${app.address().port}`, stop: () => app.closeAllConnections() ?? app.close() };
}

if (process.argv[2]) await startApp({ url: process.env.PHONIFY_URL, apiKey: process.env.PHONIFY_API_KEY }, process.argv[2]);
