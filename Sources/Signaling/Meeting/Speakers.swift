// Who speaks: levels from RTP (RFC 6464), smoothed; the dominant speaker; who was heard last.
// State: 40 bytes a peer heard recently. Owner: one meeting.
// SPDX-License-Identifier: Apache-2.0

struct Speakers: Sendable {
    /// Shortest time between two SPEAKERS packets.
    static let interval: Duration = .milliseconds(200)
    /// A level at most this many −dBov counts as speech.
    static let loudMax = 50
    /// How long a speaker counts as active, and a carried voice as not to be cut off, after the
    /// last loud packet: pauses between words are shorter.
    static let holdTime: Duration = .milliseconds(800)
    /// By how much a newcomer must be louder than the dominant speaker to take over, in score.
    private static let takeover = 12.0

    struct Voice: Sendable {
        /// Smoothed loudness: 127 − level.
        var score: Double
        var level: Int
        var lastLoud: Duration
    }

    private var voices: [PeerID: Voice] = [:]
    private var dominant: PeerID?
    private var sent: [PeerID] = []
    private var sentAt: Duration?
    private var isDirty = false
    private var latest: Duration = .zero

    /// When `due` has something to say; nil while nothing changed.
    var deadline: Duration? {
        if isDirty { return (sentAt ?? .zero) + Self.interval }
        guard let oldest = sent.compactMap({ voices[$0]?.lastLoud }).min() else { return nil }
        return oldest + Self.holdTime
    }

    /// Who was heard within the last half minute.
    var heard: Dictionary<PeerID, Voice>.Keys { voices.keys }

    /// Who speaks now.
    var active: Set<PeerID> {
        Set(voices.lazy.filter { isActive($0.value, latest) }.map(\.key))
    }

    mutating func forget(_ peer: PeerID) {
        if voices.removeValue(forKey: peer) != nil { isDirty = true }
        if dominant == peer { dominant = nil }
    }

    /// Takes measured levels, −dBov: 0 loudest, 127 silence.
    mutating func hear(_ levels: [(peer: PeerID, level: Int)], now: Duration) {
        latest = now
        for (peer, level) in levels {
            let level = min(max(level, 0), 127)
            let loudness = Double(127 - level)
            var voice = voices[peer] ?? Voice(score: loudness / 2, level: level, lastLoud: .zero)
            voice.score += (loudness - voice.score) * 0.3
            voice.level = level
            if level <= Self.loudMax {
                voice.lastLoud = now
                voices[peer] = voice
                isDirty = true
            } else if voices[peer] != nil {
                voices[peer] = voice
            }
        }
    }

    /// The active speakers, the dominant one first, when there is news to tell.
    mutating func due(now: Duration) -> [(peer: PeerID, level: Int)]? {
        latest = max(latest, now)
        guard let deadline, now >= deadline else { return nil }
        let active = voices.filter { isActive($0.value, now) }
        chooseDominant(active)
        isDirty = false
        let ordered = active.keys.sorted { first, second in
            if (first == dominant) != (second == dominant) { return first == dominant }
            let left = active[first]?.level ?? 127
            let right = active[second]?.level ?? 127
            return left != right ? left < right : first.value < second.value
        }
        voices = voices.filter { now - $0.value.lastLoud < .seconds(30) }
        if ordered.isEmpty && sent.isEmpty { return nil }
        sent = ordered
        sentAt = now
        return ordered.map { ($0, active[$0]?.level ?? 127) }
    }

    /// 0: not to be cut off; then by how long ago the peer was heard, in tenths of seconds.
    func rank(of peer: PeerID, isCarried: Bool) -> Int {
        guard let voice = voices[peer] else { return isCarried ? 10_000 : 20_000 }
        let age = latest - voice.lastLoud
        if isCarried && age < Self.holdTime { return 0 }
        return 1 + Int(min(max(age / .milliseconds(100), 0), 9000))
    }

    private func isActive(_ voice: Voice, _ now: Duration) -> Bool {
        now - voice.lastLoud < Self.holdTime
    }

    private mutating func chooseDominant(_ active: [PeerID: Voice]) {
        let loudest = active.max {
            ($0.value.score, $1.key.value) < ($1.value.score, $0.key.value)
        }
        guard let loudest else {
            dominant = nil
            return
        }
        guard let dominant, let current = active[dominant] else {
            self.dominant = loudest.key
            return
        }
        if loudest.value.score > current.score + Self.takeover { self.dominant = loudest.key }
    }
}
