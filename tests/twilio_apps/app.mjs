// A small app as Twilio's quickstart for Node has it: it sends, receives, checks the signature, and answers.
// Its only line for Phonify is the one with `baseUrl`.
import { createServer } from "node:http";
import twilio from "twilio";

const { TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_URL } = process.env;
const client = twilio(TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN);
client.api.baseUrl = TWILIO_URL;

const statuses = [];

async function readForm(request) {
  let text = "";
  for await (const piece of request) text += piece;
  return Object.fromEntries(new URLSearchParams(text));
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, `http://${request.headers.host}`);
  const form = await readForm(request);
  const answer = (status, type, body) => response.writeHead(status, { "Content-Type": type }).end(body);
  if (url.pathname === "/sms" || url.pathname === "/status") {
    const signature = request.headers["x-twilio-signature"] ?? "";
    if (!twilio.validateRequest(TWILIO_AUTH_TOKEN, signature, url.href, form)) return answer(403, "text/plain", "");
  }
  if (url.pathname === "/send") {
    const statusCallback = new URL("/status?order=17", url).href;
    const message = await client.messages.create({
      to: form.to,
      from: "+15005550006",
      body: "Your order is on its way",
      statusCallback,
    });
    return answer(200, "application/json", JSON.stringify({ sid: message.sid }));
  }
  if (url.pathname === "/sms") {
    const twiml = new twilio.twiml.MessagingResponse();
    twiml.message(`You said: ${form.Body}`);
    return answer(200, "text/xml", twiml.toString());
  }
  if (url.pathname === "/status") {
    statuses.push(`${url.searchParams.get("order")} ${form.MessageStatus}`);
    return answer(204, "text/plain", "");
  }
  return answer(200, "application/json", JSON.stringify(statuses));
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
