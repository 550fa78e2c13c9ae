// What each packet from the node means for a Meeting. SPDX-License-Identifier: Apache-2.0

function users(meeting, packet) {
  const ids = packet.users ?? [];
  const { roster } = meeting;
  if (packet.host) roster.host = packet.host;
  for (const [id, name] of Object.entries(packet.names ?? {})) roster.setName(id, name);
  const { removed } = roster.replace([...new Set([...ids, meeting.account.accountId])]);
  removed.forEach((person) => meeting.forget(person.accountId));
  ids.forEach((id) => meeting.seen(id));
  // Raised hands and feeds follow in packets of their own.
  roster.others().forEach((person) => roster.setHand(person.accountId, false, 0));
  meeting.locked = packet.locked ?? false;
  meeting.admitted({ session: packet.session });
  meeting.feedsChanged();
}

function join(meeting, packet) {
  if (packet.account_id === meeting.account.accountId) return;
  if (packet.waiting) {
    meeting.knocked(packet.account_id, packet.name);
    return;
  }
  meeting.waiting.delete(packet.account_id);
  meeting.roster.setName(packet.account_id, packet.name);
  const known = meeting.roster.get(packet.account_id);
  const person = meeting.roster.add(packet.account_id);
  if (known) return;
  meeting.lateComers.add(packet.account_id);
  meeting.seen(packet.account_id);
  meeting.emit("notice", { text: `${person.name} joined.`, tone: "quiet" });
  meeting.feedsChanged();
}

function leave(meeting, packet) {
  if (packet.account_id === meeting.account.accountId) {
    meeting.finish("removed", "You were taken out of the meeting.");
    return;
  }
  meeting.waiting.delete(packet.account_id);
  const person = meeting.roster.remove(packet.account_id);
  meeting.forget(packet.account_id);
  if (person) meeting.emit("notice", { text: `${person.name} left.`, tone: "quiet" });
  meeting.feedsChanged();
}

function feeds(meeting, packet) {
  const person = meeting.roster.setFeeds(packet.account_id, packet.feeds ?? []);
  if (!person) return;
  meeting.seen(packet.account_id);
  meeting.feedsChanged();
}

function mute(meeting, packet) {
  const own = packet.account_id === meeting.account.accountId;
  const source = packet.source ?? { audio: "microphone", video: "camera" }[packet.kind];
  const person = meeting.roster.setMuted(packet.account_id, source, packet.muted);
  if (!person) return;
  if (own && packet.muted) meeting.mutedByHost(source);
  meeting.emit("people");
  meeting.emit("feeds");
}

function chat(meeting, packet) {
  meeting.emit("chat", {
    accountId: packet.account_id,
    name: meeting.roster.name(packet.account_id),
    text: String(packet.text ?? ""),
    self: packet.account_id === meeting.account.accountId,
    at: Date.now(),
  });
}

function hand(meeting, packet) {
  const raised = packet.raised ?? true;
  const person = meeting.roster.setHand(packet.account_id, raised, Date.now());
  if (!person) return;
  if (raised && !person.self) {
    meeting.emit("notice", { text: `${person.name} raised a hand.`, tone: "quiet" });
  }
  meeting.emit("people");
}

function error(meeting, packet) {
  const text = String(packet.msg ?? "");
  meeting.emit("error", { where: "node", message: text });
  if (/^(UNSUB_SUB|SUBSCRIBE|UNSUBSCRIBE):/.test(text)) meeting.subscriptionRefused();
  if (/^OFFER: (?!the offer before)/.test(text)) meeting.offerRefused(text);
  if (/^another connection of this account/.test(text)) meeting.deny("replaced");
}

function denied(meeting, packet) {
  if (packet.reason === "waiting") meeting.mustWait();
  else meeting.deny(packet.reason);
}

function lock(meeting, packet) {
  meeting.locked = packet.locked;
  meeting.waitingRoom = packet.waiting_room ?? meeting.waitingRoom;
  meeting.emit("people");
}

export const PACKETS = Object.freeze({
  MEETING_USERS: users,
  JOIN: join,
  LEAVE: leave,
  FEEDS: feeds,
  MUTE: mute,
  CHAT: chat,
  HAND: hand,
  ERROR: error,
  ANSWER: (meeting, packet) => meeting.takeAnswer(packet.sdp),
  SLOTS: (meeting, packet) => meeting.takeSlots(packet.slots ?? []),
  END: (meeting) => meeting.finish("ended", "The host ended the meeting for everybody."),
  JOIN_DENIED: denied,
  LOCK: lock,
  MOVE: (meeting, packet) => meeting.move(packet.server, packet.ticket),
  QUALITY: (meeting, packet) => {
    meeting.quality = packet;
    meeting.emit("quality", packet);
  },
  SPEAKERS: (meeting, packet) => {
    const changed = meeting.roster.setSpeakers(packet.active ?? [], performance.now());
    meeting.emit("speakers", { changed, dominant: packet.active?.[0]?.account_id ?? null });
  },
  REACTION: (meeting, packet) => {
    if (packet.account_id === meeting.account.accountId) return;
    meeting.emit("reaction", { accountId: packet.account_id, reaction: packet.reaction });
  },
  KICK: (meeting, packet) => {
    if (packet.account_id !== meeting.account.accountId) return;
    meeting.finish("removed", "The host has removed you from this meeting.");
  },
});
