// Failures in words a person can act on. Pure. SPDX-License-Identifier: Apache-2.0

/** A refused or failed call of the REST interface; `problem` is its RFC 9457 document or {}. */
export class ApiError extends Error {
  constructor(status, problem = {}, retryAfterSeconds = null) {
    super(problem.detail || problem.title || `HTTP ${status}`);
    this.name = "ApiError";
    this.status = status;
    this.problem = problem;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

const NETWORK = "Roundhouse can’t be reached. Check your connection and try again.";

const BY_STATUS = {
  signup: {
    400: "Check what you entered: an e-mail address like ada@example.org, and a password of at "
      + "least 8 characters.",
    409: "There is already an account with this e-mail address. Sign in instead.",
  },
  signin: {
    400: "Check the e-mail address: it should look like ada@example.org.",
    401: "That e-mail address and password don’t go together. Check both and try again.",
    403: "That e-mail address and password don’t go together. Check both and try again.",
  },
  create: {
    503: "No meeting server has room right now. Try again in a minute.",
  },
  join: {
    403: "You are not allowed into this meeting. Ask its host to invite you.",
    404: "There is no meeting with this code. Check the code or ask for a new link.",
    410: "This meeting has ended. Ask its host for a new link, or start your own.",
    503: "The meeting’s server can’t take more people right now. Try again in a minute.",
  },
};

const GENERAL = {
  401: "You have been signed out. Sign in again.",
  413: "That is too long.",
  429: "Too many attempts.",
  500: "Something went wrong on our side. Try again.",
  502: "The service is restarting. Try again in a moment.",
  503: "The service is busy. Try again in a moment.",
  504: "The service took too long to answer. Try again.",
};

function waitText(seconds) {
  if (!Number.isFinite(seconds) || seconds <= 0) return "Wait a moment and try again.";
  if (seconds < 90) return `Try again in ${Math.ceil(seconds)} seconds.`;
  return `Try again in ${Math.ceil(seconds / 60)} minutes.`;
}

/** Field errors a validation problem may carry: [{field|pointer, detail|message}]. */
function fieldText(problem) {
  const list = Array.isArray(problem.errors) ? problem.errors : [];
  return list.map((entry) => entry?.detail ?? entry?.message ?? "").filter(Boolean).join(" ");
}

/**
 * The sentence to show.
 *
 * error    an ApiError, or whatever fetch threw
 * purpose  signup, signin, create, join or anything else
 */
export function describeProblem(error, purpose = "") {
  if (!(error instanceof ApiError)) return NETWORK;
  if (error.status === 429) return `${GENERAL[429]} ${waitText(error.retryAfterSeconds)}`;
  const known = BY_STATUS[purpose]?.[error.status];
  if (known) return known;
  const fields = fieldText(error.problem);
  if (fields) return fields;
  if (error.status >= 400 && error.status < 500 && error.problem.detail) {
    return sentence(error.problem.detail);
  }
  return GENERAL[error.status] ?? "That didn’t work. Try again.";
}

function sentence(text) {
  const trimmed = String(text).trim();
  const capital = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

const DENIED = {
  ended: "This meeting has ended.",
  meeting_ended: "This meeting has ended.",
  expired: "Your ticket to this meeting has run out. Join again.",
  ticket_expired: "Your ticket to this meeting has run out. Join again.",
  locked: "The host has locked this meeting.",
  full: "This meeting is full.",
  node_full: "The server has no room for more people. Try again in a little while.",
  kicked: "The host has removed you from this meeting.",
  removed: "The host has removed you from this meeting.",
  denied: "The host did not let you in.",
  replaced: "You joined this meeting somewhere else, so this page let go of it.",
  session_unknown: "You were away too long. Join again.",
};

/** What a JOIN_DENIED with this reason means to a person. */
export function describeDenial(reason) {
  const key = String(reason ?? "").trim().toLowerCase().replace(/[\s-]+/g, "_");
  if (DENIED[key]) return DENIED[key];
  if (/ended/.test(key)) return DENIED.ended;
  if (/expired/.test(key)) return DENIED.expired;
  if (/lock/.test(key)) return DENIED.locked;
  if (/full|limit/.test(key)) return DENIED.full;
  return "The meeting did not let you in. Join again; if it happens once more, ask the host.";
}

const MEDIA = {
  NotAllowedError: (device) => `The browser may not use your ${device}. Allow it at the address `
    + "bar (the camera symbol or site settings), then try again.",
  NotFoundError: (device) => `No ${device} was found. Connect one and try again.`,
  NotReadableError: (device) => `Your ${device} is in use by another program. Close that program `
    + "and try again.",
  OverconstrainedError: (device) => `The chosen ${device} is gone. Choose another one.`,
  InsecureContext: (device) => `Browsers give the ${device} only to secure pages. Open this page `
    + "with https://, or on the machine itself as http://localhost.",
};

/**
 * What to tell a person whose devices did not open.
 * device: "camera", "microphone" or "camera and microphone"
 */
export function describeMediaError(error, device) {
  const name = error?.name === "SecurityError" ? "NotAllowedError" : error?.name;
  const known = MEDIA[name] ?? null;
  return known ? known(device) : `Your ${device} could not be opened.`;
}
