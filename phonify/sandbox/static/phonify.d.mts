/** A client of a Phonify server for tests. Times are in milliseconds, except `ttl`, which is in seconds. */

export type State = "unconfirmed" | "sent" | "error";
export type Direction = "outbound" | "inbound";

/** Criteria of messages. A criterion that is null or not given matches every message. */
export interface Criteria {
  to?: string | null;
  origin?: string | null;
  /** A part of the body. Upper and lower case are the same. */
  contains?: string | null;
  state?: State | null;
  /** By default "outbound": messages from the app. */
  direction?: Direction | null;
}

/** A message as it was at the time of the request. Later changes are not shown. */
export interface Message {
  id: string;
  direction: Direction;
  origin: string;
  to: string;
  body: string;
  state: State;
  /** Error types, such as "blocked_by_recipient". Empty unless the state is "error". */
  errors: string[];
  createdAt: string;
  /** The one-time code in the body. */
  code: string | null;
  /** The URLs in the body. */
  links: string[];
  /** The delivery receipt, or null if there is none yet. */
  receipt: "delivered" | "undelivered" | null;
  /** The rule that the message has met: its name, or its id if it has no name. Null if it has met no rule. */
  rule: string | null;
}

export type Outcome =
  | "sent" | "refused" | "failed" | "delayed" | "unavailable" | "unconfirmed" | "delivered" | "undelivered" | "reply"
  | "api_error" | "api_slow";

/** The settings of an outcome. `seconds` and `ttl` are in seconds. */
export interface OutcomeSettings {
  /** An error type, such as "unreachable_handset". */
  error?: string | null;
  seconds?: number | null;
  times?: number | null;
  reply?: string | null;
  status?: 429 | 500 | 503 | null;
}

/** The conditions of a rule, the settings of its outcome, and its end. */
export interface RuleSettings extends OutcomeSettings {
  name?: string | null;
  /** A number, or its beginning and "*". */
  to?: string | null;
  origin?: string | null;
  contains?: string | null;
  /** The form of the whole text, with "*" and "?". */
  pattern?: string | null;
  direction?: Direction | null;
  nth?: number | null;
  /** A percentage. */
  share?: number | null;
  seed?: number | null;
  uses?: number | null;
  ttl?: number | null;
  /** 1 is the first. */
  position?: number | null;
}

/** A rule as it was at the time of the request. It has no property for a setting that was not given. */
export interface Rule extends RuleSettings {
  id: string;
  position: number;
  outcome: Outcome;
  /** How many messages or requests have matched. `nth` and `share` do not change this number. */
  seen: number;
  /** How often the rule was applied. */
  used: number;
}

/** The server gives no valid answer, it refuses the request, or no message arrives in time. */
export class PhonifyError extends Error {}

/** Return a client of an account. This sends no request to the server. */
export function connect(url: string, key: string): Phonify;

/** An account on a server. It finds the messages of the app under test, and can answer as the phone. */
export class Phonify {
  constructor(url: string, key: string);
  readonly url: string;
  readonly apiKey: string;
  /** Return all messages that match, oldest first, without waiting. */
  messages(criteria?: Criteria): Promise<Message[]>;
  /**
   * Return the oldest message that matches. Wait for such a message up to `timeout` milliseconds (5000). Messages that
   * `waitFor`, `code` or `link` has already returned do not count. If no message matches in time, the error lists the
   * messages that arrived.
   */
  waitFor(criteria?: Criteria & { timeout?: number }): Promise<Message>;
  /** Return the one-time code of the oldest message that has a code. Wait as `waitFor` does. */
  code(criteria?: Criteria & { timeout?: number }): Promise<string>;
  /** Return the first link of the oldest message that has a link. Wait as `waitFor` does. */
  link(criteria?: Criteria & { timeout?: number }): Promise<string>;
  /** Throw if a message matches now or `within` the given milliseconds (500). Returned messages do not count. */
  assertNone(criteria?: Criteria & { within?: number }): Promise<void>;
  /**
   * Send a message from a phone to the app. `phone` is a number, or a message that this phone got. For a message, the
   * default recipient is the sender of this message. For a number, it is the sender of the last message that the phone
   * got. If the phone got none, it is the account's default sender.
   */
  reply(phone: Message | string, body: string, options?: { to?: string | null }): Promise<Message>;
  /** Remove the messages that match, by default in both directions. Return how many messages were removed. */
  clear(criteria?: Criteria): Promise<number>;
  /** Set the URL that gets the account's events. Return the secret that signs the events. */
  setWebhook(url: string): Promise<string>;
  /** Return the rules of the account in their order. */
  rules(): Promise<Rule[]>;
  /** Add a rule, by default at the end. The first rule that matches applies. */
  addRule(outcome: Outcome, settings?: RuleSettings): Promise<Rule>;
  /** Delete a rule. Messages that have met the rule keep its outcome. */
  deleteRule(rule: Rule): Promise<void>;
  /** Replace all rules by those of a scenario: the text of a TOML file. An empty text deletes all rules. */
  loadScenario(text: string): Promise<Rule[]>;
  /** Give an outcome to one message that waits. */
  force(message: Message, outcome: Outcome, settings?: OutcomeSettings): Promise<void>;
  /** Begin a run, which is an account for one test. The server ends the run after `ttl` seconds (3600). */
  run(options?: { name?: string | null; ttl?: number } & TwilioSettings): Promise<Run>;
}

/** The settings of a run for an app that uses Twilio. The URLs are those of the app. */
export interface TwilioSettings {
  /** A token that the app knows already. */
  authToken?: string | null;
  /** Gets received messages. */
  inboundUrl?: string | null;
  inboundMethod?: "GET" | "POST" | null;
  /** Is used if `inboundUrl` fails. */
  fallbackUrl?: string | null;
  fallbackMethod?: "GET" | "POST" | null;
}

/**
 * An account for one test. An app that uses Twilio needs `accountSid`, `authToken`, and `url` as the base URL of its
 * client.
 */
export interface Run extends Phonify {
  readonly id: string;
  readonly expiresAt: string;
  readonly accountSid: string;
  readonly authToken: string;
  /** End the run, and remove its messages and its key. Do nothing if the run has ended already. */
  end(): Promise<void>;
}
