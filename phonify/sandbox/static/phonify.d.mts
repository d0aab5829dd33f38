/** A client of a Phonify server for tests. Times are in milliseconds, except `ttl`, which is in seconds. */

export type State = "unconfirmed" | "sent" | "error";
export type Direction = "outbound" | "inbound";

/** What chooses messages. A criterion that is null or not given matches everything. */
export interface Criteria {
  to?: string | null;
  origin?: string | null;
  /** Anywhere in the body; upper and lower case are the same. */
  contains?: string | null;
  state?: State | null;
  /** By default "outbound": messages from the app. */
  direction?: Direction | null;
}

/** A message, in the state that it had when it was read. */
export interface Message {
  id: string;
  direction: Direction;
  origin: string;
  to: string;
  body: string;
  state: State;
  /** Their types, such as "blocked_by_recipient"; empty except in state "error". */
  errors: string[];
  createdAt: string;
  /** The one-time code in the body. */
  code: string | null;
  /** The URLs in the body. */
  links: string[];
}

/** The server gives no answer or refuses the request, or a message does not come in time. */
export class PhonifyError extends Error {}

/** Return a client of an account. The server is not asked before the first call of a method. */
export function connect(url: string, key: string): Phonify;

/** An account on a server. It finds the messages of the app under test, and can answer as the phone. */
export class Phonify {
  constructor(url: string, key: string);
  readonly url: string;
  readonly apiKey: string;
  /** Return all messages that match, oldest first, without waiting. */
  messages(criteria?: Criteria): Promise<Message[]>;
  /**
   * Return the oldest message that matches and was not returned before; wait for it up to `timeout` milliseconds (5000).
   * If none comes in time, the error lists the messages that did come.
   */
  waitFor(criteria?: Criteria & { timeout?: number }): Promise<Message>;
  /** Return the one-time code of the oldest message that has one; wait for it as `waitFor` does. */
  code(criteria?: Criteria & { timeout?: number }): Promise<string>;
  /** Return the first link of the oldest message that has one; wait for it as `waitFor` does. */
  link(criteria?: Criteria & { timeout?: number }): Promise<string>;
  /** Throw if a message that was not returned before matches, or comes `within` the given milliseconds (500). */
  assertNone(criteria?: Criteria & { within?: number }): Promise<void>;
  /**
   * Send a message from a phone to the app. The phone is a number, or the recipient of a message. Without `to`, it goes
   * to the sender of that message, or of the last message that the phone got, or else to the account's own number.
   */
  reply(phone: Message | string, body: string, options?: { to?: string | null }): Promise<Message>;
  /** Remove the messages that match, by default all in both directions; return how many were removed. */
  clear(criteria?: Criteria): Promise<number>;
  /** Set the URL that the account's events are posted to; return the secret that signs them. */
  setWebhook(url: string): Promise<string>;
  /** Begin a run, which is an account for one test. The server ends it after `ttl` seconds (3600). */
  run(options?: { name?: string | null; ttl?: number }): Promise<Run>;
}

/** An account for one test. */
export interface Run extends Phonify {
  readonly id: string;
  readonly expiresAt: string;
  /** End the run, and remove its messages and its key. Nothing happens if it has ended already. */
  end(): Promise<void>;
}
