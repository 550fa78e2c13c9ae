// A summary of getStats by account, for people and tests. SPDX-License-Identifier: Apache-2.0

function video(report, codec) {
  return {
    mid: report.mid,
    framesDecoded: report.framesDecoded ?? 0,
    framesPerSecond: report.framesPerSecond ?? 0,
    framesDropped: report.framesDropped ?? 0,
    freezeCount: report.freezeCount ?? 0,
    width: report.frameWidth ?? 0,
    height: report.frameHeight ?? 0,
    bytesReceived: report.bytesReceived ?? 0,
    packetsLost: report.packetsLost ?? 0,
    codec: codec?.mimeType ?? "",
  };
}

function audio(report) {
  return {
    mid: report.mid,
    audioEnergy: report.totalAudioEnergy ?? 0,
    audioLevel: report.audioLevel ?? 0,
    bytesReceived: report.bytesReceived ?? 0,
    packetsLost: report.packetsLost ?? 0,
    concealedSamples: report.concealedSamples ?? 0,
  };
}

function sent(report, source) {
  return {
    source: source ?? "",
    rid: report.rid ?? "",
    framesEncoded: report.framesEncoded ?? 0,
    width: report.frameWidth ?? 0,
    height: report.frameHeight ?? 0,
    bytesSent: report.bytesSent ?? 0,
    active: report.active ?? true,
  };
}

function transport(reports) {
  const found = reports.find((report) => report.type === "transport");
  const pair = reports.find((report) => report.id === found?.selectedCandidatePairId)
    ?? reports.find((report) => report.type === "candidate-pair" && report.nominated);
  return {
    state: found?.iceState ?? "",
    dtlsState: found?.dtlsState ?? "",
    srtpCipher: found?.srtpCipher ?? "",
    roundTripTime: pair?.currentRoundTripTime ?? null,
    availableOutgoingBitrate: pair?.availableOutgoingBitrate ?? null,
  };
}

/**
 * Reads the statistics of a meeting's connection; see the README for the shape.
 * peer: Peer or null · slots: SlotTable
 */
export async function summarize(peer, slots) {
  const summary = { accounts: {}, sent: [], transport: transport([]) };
  if (!peer) return summary;
  const reports = [...(await peer.pc.getStats()).values()];
  const byId = new Map(reports.map((report) => [report.id, report]));
  const bound = new Map(slots.list().map((slot) => [slot.mid, slot]));
  for (const report of reports) {
    const slot = bound.get(report.mid);
    if (report.type === "inbound-rtp" && slot?.accountId) {
      const account = (summary.accounts[slot.accountId] ??= {});
      account[slot.source] = report.kind === "video"
        ? video(report, byId.get(report.codecId)) : audio(report);
    } else if (report.type === "outbound-rtp") {
      summary.sent.push(sent(report, peer.sourceOf(report.mid)));
    }
  }
  summary.transport = transport(reports);
  return summary;
}
