// Tests of messages, names, codes and session descriptions.
// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import test from "node:test";
import { ticketSecondsLeft } from "../../Sources/WebClient/js/api.js";
import { displayName, hueOf, initials, meetingIdIn } from "../../Sources/WebClient/js/names.js";
import {
  ApiError, describeDenial, describeMediaError, describeProblem,
} from "../../Sources/WebClient/js/problems.js";
import { audioCodecs, videoCodecs, withOpusOptions } from "../../Sources/WebClient/js/sdp.js";

test("problems are told in sentences that say what to do", () => {
  assert.match(describeProblem(new TypeError("Failed to fetch"), "signin"), /reached/);
  assert.match(describeProblem(new ApiError(401), "signin"), /don’t go together/);
  assert.match(describeProblem(new ApiError(409), "signup"), /already an account/);
  assert.match(describeProblem(new ApiError(410), "join"), /has ended/);
  assert.match(describeProblem(new ApiError(404), "join"), /no meeting/);
  assert.match(describeProblem(new ApiError(429, {}, 30), "signin"), /30 seconds/);
  assert.match(describeProblem(new ApiError(429, {}, 600), "signin"), /10 minutes/);
  assert.match(describeProblem(new ApiError(429, {}, null), "signin"), /Wait a moment/);
  assert.equal(describeProblem(new ApiError(422, { detail: "password is too short" }), "signup"),
    "Password is too short.");
  assert.equal(describeProblem(new ApiError(422, { errors: [{ detail: "Too short." }] }), "signup"),
    "Too short.");
  assert.match(describeProblem(new ApiError(500, { detail: "stack" }), "join"), /our side/);
});

test("every reason of a denial has words", () => {
  const reasons = ["ended", "locked", "full", "removed", "denied", "ticket_expired",
    "session_unknown"];
  const texts = reasons.map(describeDenial);
  assert.equal(new Set(texts).size, reasons.length);
  assert.ok(describeDenial("something new").length > 20);
  assert.ok(describeDenial(undefined).length > 20);
});

test("a camera that can't be used is explained", () => {
  for (const name of ["NotAllowedError", "NotFoundError", "NotReadableError", "InsecureContext"]) {
    assert.match(describeMediaError({ name }, "camera"), /camera/);
  }
  assert.match(describeMediaError(new Error("?"), "microphone"), /microphone/);
});

test("codes and links lead to the meeting id", () => {
  const rows = [
    ["abc-defg-hij", "abc-defg-hij"], [" ABCDEFGHIJ ", "abc-defg-hij"],
    ["abc defg hij", "abc-defg-hij"], ["https://host:8443/m/abc-defg-hij", "abc-defg-hij"],
    ["host/m/abc-defg-hij?x=1#y", "abc-defg-hij"], ["", null], ["a/b", null], ["<script>", null],
  ];
  for (const [text, expected] of rows) assert.equal(meetingIdIn(text), expected, text);
});

test("names have initials, colours and a stand-in", () => {
  assert.equal(initials("Ada King Lovelace"), "AL");
  assert.equal(initials("ada"), "A");
  assert.equal(initials("  "), "?");
  assert.equal(initials("李 小龙"), "李小");
  assert.equal(displayName("", "12345678"), "Guest 1234");
  assert.equal(hueOf("abc"), hueOf("abc"));
  assert.ok(hueOf("abc") >= 0 && hueOf("abc") < 360);
});

test("VP8 comes first, one profile each, with its retransmission", () => {
  const codec = (mimeType, sdpFmtpLine) => ({ mimeType, sdpFmtpLine, clockRate: 90_000 });
  const chosen = videoCodecs([
    codec("video/AV1", "level-idx=5;profile=0;tier=0"), codec("video/AV1", "profile=1"),
    codec("video/H264", "packetization-mode=0;profile-level-id=42e01f"),
    codec("video/H264", "packetization-mode=1;profile-level-id=42001f"),
    codec("video/H264", "packetization-mode=1;profile-level-id=42e01f"),
    codec("video/VP9", "profile-id=2"), codec("video/VP9", "profile-id=0"),
    codec("video/red"), codec("video/ulpfec"), codec("video/rtx"), codec("video/VP8"),
  ]);
  assert.deepEqual(chosen.map((c) => `${c.mimeType} ${c.sdpFmtpLine ?? ""}`.trim()), [
    "video/VP8", "video/VP9 profile-id=0",
    "video/H264 packetization-mode=1;profile-level-id=42e01f",
    "video/AV1 level-idx=5;profile=0;tier=0", "video/rtx",
  ]);
  assert.deepEqual(videoCodecs([]), []);
  assert.equal(audioCodecs([codec("audio/opus"), codec("audio/PCMU")]).length, 1);
});

test("our encoder is asked for silence suppression once", () => {
  const answer = ["m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=rtpmap:111 opus/48000/2",
    "a=fmtp:111 minptime=10;useinbandfec=1", "m=video 9 X 96", "a=fmtp:96 x=1", ""].join("\r\n");
  const once = withOpusOptions(answer);
  assert.match(once, /a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1\r\n/);
  assert.match(once, /a=fmtp:96 x=1\r\n/);
  assert.equal(withOpusOptions(once), once);
  const bare = withOpusOptions("a=rtpmap:109 opus/48000/2\r\n");
  assert.equal(bare, "a=rtpmap:109 opus/48000/2\r\na=fmtp:109 usedtx=1;useinbandfec=1\r\n");
});

test("a ticket's remaining life is read from its claims", () => {
  const ticket = (claims) => `x.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.y`;
  assert.equal(ticketSecondsLeft(ticket({ exp: 160 }), 100_000), 60);
  assert.equal(ticketSecondsLeft(ticket({ exp: 60 }), 100_000), 0);
  assert.equal(ticketSecondsLeft("rubbish", 0), 0);
});
