// The REST interface of the accounts and meetings. SPDX-License-Identifier: Apache-2.0

import { ApiError } from "./problems.js";

const TIMEOUT_MS = 15_000;

function retryAfter(response) {
  const value = response.headers.get("retry-after");
  if (!value) return null;
  const seconds = Number(value);
  return Number.isFinite(seconds) ? seconds : (Date.parse(value) - Date.now()) / 1000;
}

async function body(response) {
  if (response.status === 204) return {};
  try {
    return await response.json();
  } catch {
    return {};
  }
}

export class Api {
  #token;
  #onSignedOut;

  /**
   * token        function that returns the token or null
   * onSignedOut  called when the service no longer accepts the token
   */
  constructor({ token, onSignedOut = () => {} }) {
    this.#token = token;
    this.#onSignedOut = onSignedOut;
  }

  /** Creates an account and signs in. Returns the session. Throws ApiError. */
  async signUp({ name, email, password }) {
    await this.#call("POST", "/account", { body: { email, password, name }, anonymous: true });
    return this.signIn({ email, password, name });
  }

  async signIn({ email, password, name = "" }) {
    const answer = await this.#call("POST", "/account/login", {
      body: { email, password }, anonymous: true,
    });
    const { token } = answer;
    const account = await this.#call("GET", "/account", { token });
    return {
      token,
      accountId: account.account_id,
      name: account.name || name || email.split("@")[0],
      email: account.email ?? email,
      expiresAt: answer.expires ? answer.expires * 1000 : null,
    };
  }

  async signOut() {
    await this.#call("POST", "/account/logout", {});
  }

  /** Returns {meetingId, server, ticket}. */
  async createMeeting() {
    return grant(await this.#call("POST", "/meeting", { body: {} }));
  }

  /** Returns {host, server, recording}; server is "" once it has ended. */
  getMeeting(meetingId) {
    return this.#call("GET", `/meeting/${encodeURIComponent(meetingId)}`, {});
  }

  async joinMeeting(meetingId) {
    const path = `/meeting/join/${encodeURIComponent(meetingId)}`;
    return grant({ meeting_id: meetingId, ...(await this.#call("POST", path, {})) });
  }

  /** Tells the meeting service; survives the page (keepalive) and never throws. */
  async leaveMeeting(meetingId) {
    const path = `/meeting/leave/${encodeURIComponent(meetingId)}`;
    try {
      await this.#call("POST", path, { keepalive: true });
    } catch {
      // The node knows who is there; this call only keeps the load figures near the truth.
    }
  }

  async #call(method, path, { body: payload, anonymous = false, token, keepalive = false }) {
    const headers = { accept: "application/json, application/problem+json" };
    const bearer = anonymous ? null : (token ?? this.#token());
    if (bearer) headers.authorization = `Bearer ${bearer}`;
    if (payload !== undefined) headers["content-type"] = "application/json";
    const response = await fetch(path, {
      method, headers, keepalive, cache: "no-store", credentials: "omit",
      body: payload === undefined ? undefined : JSON.stringify(payload),
      signal: keepalive ? undefined : AbortSignal.timeout(TIMEOUT_MS),
    });
    const answer = await body(response);
    if (response.ok) return answer;
    if (response.status === 401 && !anonymous && !keepalive) this.#onSignedOut();
    throw new ApiError(response.status, answer, retryAfter(response));
  }
}

function grant(answer) {
  return { meetingId: answer.meeting_id, server: answer.server, ticket: answer.ticket };
}

/** Seconds until a ticket expires, 0 when unreadable. Only the node checks the signature. */
export function ticketSecondsLeft(ticket, nowMs = Date.now()) {
  try {
    const claims = ticket.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    return Math.max(0, JSON.parse(atob(claims)).exp - nowMs / 1000);
  } catch {
    return 0;
  }
}
