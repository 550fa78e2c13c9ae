// Tests of bit rate choice, subscription plans, slots and speakers' places.
// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import test from "node:test";
import { bitrateFor, cameraEncodings } from "../../Sources/WebClient/js/bitrate.js";
import { promoteSpeaker, Roster } from "../../Sources/WebClient/js/roster.js";
import { SlotTable } from "../../Sources/WebClient/js/slots.js";
import {
  audioSlotsFor, plan, remap, SUBSCRIPTIONS_MAX, videoSlotsFor,
} from "../../Sources/WebClient/js/subscriptions.js";

const camera = (accountId, bitrate) => ({ accountId, source: "camera", bitrate });

test("the bit rate follows the size of the tile in device pixels", () => {
  const rows = [
    [{ width: 320, height: 180 }, 150_000],
    [{ width: 340, height: 190 }, 150_000],
    [{ width: 360, height: 210 }, 500_000],
    [{ width: 640, height: 360 }, 500_000],
    [{ width: 800, height: 450 }, 1_500_000],
    [{ width: 320, height: 180, ratio: 2 }, 500_000],
    [{ width: 640, height: 360, ratio: 2 }, 1_500_000],
    [{ width: 90, height: 400 }, 1_500_000],
  ];
  for (const [tile, expected] of rows) {
    assert.equal(bitrateFor({ source: "camera", ...tile }), expected, JSON.stringify(tile));
  }
  assert.equal(bitrateFor({ source: "screen", width: 10, height: 10 }), 2_500_000);
});

test("the camera is sent in three encodings, the smallest first", () => {
  const encodings = cameraEncodings();
  assert.deepEqual(encodings.map((e) => e.rid), ["q", "h", "f"]);
  assert.deepEqual(encodings.map((e) => e.scaleResolutionDownBy), [4, 2, 1]);
  assert.deepEqual(encodings.map((e) => e.maxBitrate), [150_000, 500_000, 1_500_000]);
  assert.ok(encodings.every((e) => e.active));
});

test("a small picture is sent in fewer encodings, the topmost always whole", () => {
  const shape = (width, height) => cameraEncodings({ width, height })
    .map((e) => (e.active ? e.scaleResolutionDownBy : 0));
  assert.deepEqual(shape(1280, 720), [4, 2, 1]);
  assert.deepEqual(shape(720, 1280), [4, 2, 1]);
  assert.deepEqual(shape(640, 480), [2, 1, 0]);
  assert.deepEqual(shape(640, 360), [2, 1, 0]);
  assert.deepEqual(shape(320, 180), [1, 0, 0]);
});

test("slots grow in steps and never beyond the limits", () => {
  assert.deepEqual([0, 1, 9, 10, 16, 17, 37, 49, 80].map(videoSlotsFor),
    [9, 9, 9, 16, 16, 25, 49, 49, 49]);
  assert.deepEqual([0, 8, 9, 41, 50, 500].map(audioSlotsFor), [8, 8, 16, 50, 50, 50]);
});

test("a plan has each feed once and at most 49", () => {
  const planned = plan([camera("a", 150_000), camera("a", 500_000), camera("b", 150_000)]);
  assert.deepEqual([...planned.values()], [camera("a", 500_000), camera("b", 150_000)]);
  const many = plan(Array.from({ length: 70 }, (_, index) => camera(`p${index}`, 1)));
  assert.equal(many.size, SUBSCRIPTIONS_MAX);
  assert.ok(many.has("p0 camera") && !many.has("p49 camera"));
});

test("a remap names exactly what changes and counts it", () => {
  const before = plan([camera("a", 150_000), camera("b", 150_000), camera("c", 150_000)]);
  const after = plan([camera("b", 150_000), camera("c", 500_000),
    { accountId: "c", source: "screen", bitrate: 2_500_000 }]);
  assert.deepEqual(remap(before, after), {
    num_actions: 3,
    unsubscribe: [{ account_id: "a", source: "camera", bitrate: 150_000 }],
    subscribe: [
      { account_id: "c", source: "camera", bitrate: 500_000 },
      { account_id: "c", source: "screen", bitrate: 2_500_000 },
    ],
  });
  assert.equal(remap(after, after), null);
});

test("slots say which track carries a feed, whatever comes first", () => {
  const table = new SlotTable();
  table.apply([{ mid: "3", account_id: "a", source: "camera", layer: "h", bitrate: 9 }]);
  assert.equal(table.find("a", "camera"), null);
  table.add("3", "video", "track-3");
  table.add("4", "video", "track-4");
  table.add("2", "audio", "track-2");
  assert.equal(table.find("a", "camera").track, "track-3");
  assert.deepEqual(table.apply([
    { mid: "3", account_id: "" }, { mid: "4", account_id: "a" }, { mid: "2", account_id: "b" },
  ]).sort(), ["a camera", "b microphone"]);
  assert.equal(table.find("a", "camera").mid, "4");
  assert.equal(table.find("b", "microphone").track, "track-2");
  assert.equal(table.count("video"), 2);
  assert.deepEqual(table.apply([{ mid: "4", account_id: "a" }]), ["b microphone"]);
});

test("a remap of two slots that swap their feeds reports both", () => {
  const table = new SlotTable();
  table.add("1", "video", "t1");
  table.add("2", "video", "t2");
  table.apply([{ mid: "1", account_id: "a" }, { mid: "2", account_id: "b" }]);
  const changed = table.apply([{ mid: "1", account_id: "b" }, { mid: "2", account_id: "a" }]);
  assert.deepEqual(changed.sort(), ["a camera", "b camera"]);
  assert.equal(table.find("a", "camera").track, "t2");
});

test("a hidden speaker takes the place of the one quiet longest", () => {
  const order = ["me", "a", "b", "c", "d"];
  const spokeAt = new Map([["a", 50], ["b", 10], ["d", 99]]);
  assert.deepEqual(promoteSpeaker(order, { capacity: 3, spokeAt, speaker: "d" }),
    ["me", "a", "d", "c", "b"]);
  assert.equal(promoteSpeaker(order, { capacity: 3, spokeAt, speaker: "a" }), order);
  assert.equal(promoteSpeaker(order, { capacity: 3, spokeAt, speaker: null }), order);
  assert.equal(promoteSpeaker(order, { capacity: 1, spokeAt, speaker: "d" }), order);
});

test("the roster follows the packets", () => {
  const roster = new Roster({ accountId: "me", name: "Ada" });
  roster.host = "a";
  roster.setName("a", "Grace");
  const { added } = roster.replace(["a", "b", "me"]);
  assert.deepEqual(added.map((p) => p.accountId), ["a", "b"]);
  assert.deepEqual(roster.list().map((p) => p.accountId), ["me", "a", "b"]);
  assert.equal(roster.get("a").host, true);
  assert.equal(roster.get("a").muted, true, "nothing published yet");
  roster.setFeeds("a", [
    { source: "microphone", codec: "opus", muted: false },
    { source: "camera", codec: "vp8", muted: true },
  ]);
  assert.equal(roster.get("a").muted, false);
  assert.equal(roster.get("a").cameraOff, true);
  roster.setMuted("a", "microphone", true);
  assert.equal(roster.get("a").muted, true);
  roster.setFeeds("a", [{ source: "microphone", codec: "opus", muted: false }]);
  assert.equal(roster.get("a").muted, false, "FEEDS is the newer word");
  assert.deepEqual(roster.replace(["me", "b"]).removed.map((p) => p.accountId), ["a"]);
  assert.equal(roster.remove("me"), null);
});

test("speaking begins and stops with SPEAKERS", () => {
  const roster = new Roster({ accountId: "me", name: "Ada" });
  roster.replace(["a", "b"]);
  for (const id of ["a", "b"]) roster.setFeeds(id, [{ source: "microphone", muted: id === "b" }]);
  const active = [{ account_id: "a", level: 20 }, { account_id: "b", level: 9 }];
  const begun = roster.setSpeakers(active, 5);
  assert.deepEqual(begun.map((p) => p.accountId), ["a"], "a muted one does not speak");
  assert.deepEqual(roster.setSpeakers([], 6).map((p) => p.accountId), ["a"]);
  assert.equal(roster.get("a").spokeAt, 5);
});
