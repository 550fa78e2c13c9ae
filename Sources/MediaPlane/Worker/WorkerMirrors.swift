// Tracks that are received on one worker and subscribed on another.
// SPDX-License-Identifier: Apache-2.0

import CRouter

/// What another worker needs to know to mirror a track.
struct TrackOutline: Sendable {
    let publication: PublicationDescription
    let times: [SourceTime?]
    let isMuted: Bool
    let muteVersion: UInt32
}

extension Worker {
    /// The round trip that a mirror's gaps are timed with: after ten of them and a quarter more a
    /// keyframe is asked for. The publisher's worker asks for lost packets meanwhile; what the ring
    /// between the workers lost nobody resends.
    static let patienceUs: UInt64 = 30_000

    /// A mirror waits so long for its first slot.
    private static let newMirrorUs: UInt64 = 5_000_000

    // MARK: - At the subscriber's worker

    /// True when a mirror of the track is there; makes it otherwise.
    func ensureMirror(of track: TrackID) async -> Bool {
        if let mirror = mirrors[track] {
            tracks[mirror]?.lingerUntilUs = nowUs + Self.newMirrorUs
            return true
        }
        if let making = mirrorsInMaking[track] { return await making.value }
        let making = Task { await self.makeMirror(of: track) }
        mirrorsInMaking[track] = making
        let isMade = await making.value
        mirrorsInMaking[track] = nil
        return isMade
    }

    private func makeMirror(of track: TrackID) async -> Bool {
        guard let origin = shared.directory[track.worker],
            let outline = await origin.outline(of: track), !isClosed,
            var config = rh_track_config(outline.publication)
        else { return false }
        var handle: rh_track_id = 0
        guard rh_mirror_create(core, &config, &handle) == RH_OK else { return false }
        var mirror = Track(origin: track, peer: nil, publication: outline.publication)
        mirror.lingerUntilUs = nowUs + Self.newMirrorUs
        (mirror.isMuted, mirror.muteVersion) = (outline.isMuted, outline.muteVersion)
        tracks[handle] = mirror
        mirrors[track] = handle
        for (encoding, time) in outline.times.enumerated() {
            if let time { noteTime(time, of: track, encoding: encoding) }
        }
        let isRelayed = await origin.addBranch(of: track, to: index, mirror: handle)
        if !isRelayed, mirrors[track] == handle { removeTrack(handle, isPeerGone: false) }
        return isRelayed && mirrors[track] == handle
    }

    /// The track is gone at its worker.
    func loseMirror(of track: TrackID) {
        if let mirror = mirrors[track] { removeTrack(mirror, isPeerGone: false) }
    }

    /// A publisher's sender report, repeated from its worker.
    func noteTime(_ time: SourceTime, of track: TrackID, encoding: Int) {
        guard let mirror = mirrors[track],
            tracks[mirror]?.encodings.indices.contains(encoding) ?? false
        else { return }
        tracks[mirror]?.encodings[encoding].time = time
        rh_encoding_set_sender_report(core, mirror, UInt32(encoding), time.ntp, time.rtp)
    }

    /// A track was muted or unmuted at its worker.
    func noteMuted(_ isMuted: Bool, version: UInt32, of track: TrackID) {
        guard let mirror = mirrors[track], let known = tracks[mirror],
            Int32(bitPattern: version &- known.muteVersion) > 0
        else { return }
        tracks[mirror]?.muteVersion = version
        tracks[mirror]?.isMuted = isMuted
    }

    /// Tells the workers of mirrored tracks which encodings are wanted here, where that changed.
    func tellWanted() {
        let changed = schedule.changedMirrors
        schedule.changedMirrors = []
        for handle in changed {
            guard let track = tracks[handle], track.peer == nil else { continue }
            let origin = track.origin
            let bits = wantedBits(of: track)
            guard bits != track.told.bits, let worker = shared.directory[origin.worker] else {
                continue
            }
            let wanted = WantedEncodings(version: track.told.version &+ 1, bits: bits)
            tracks[handle]?.told = wanted
            Task {
                await worker.noteWanted(wanted, of: origin, at: self.index, mirror: handle)
            }
        }
    }

    /// A slot of the track aims at another encoding, or carries one.
    func noteWantedChange(_ handle: UInt32) {
        if tracks[handle]?.peer == nil { schedule.changedMirrors.insert(handle) }
    }

    private func wantedBits(of track: Track) -> UInt8 {
        let all = UInt8(truncatingIfNeeded: (1 << track.encodings.count) - 1)
        var bits: UInt8 = 0
        for handle in track.slots {
            guard let slot = slots[handle] else { continue }
            for encoding in [slot.target, slot.carried] {
                if let encoding { bits |= 1 << UInt8(truncatingIfNeeded: encoding) }
            }
            if bits == all { break }
        }
        return bits
    }

    /// Removes mirrors that nobody has used for a while.
    func sweepMirrors(nowUs: UInt64) {
        for (origin, handle) in mirrors {
            guard let track = tracks[handle], track.slots.isEmpty, nowUs >= track.lingerUntilUs,
                mirrorsInMaking[origin] == nil
            else { continue }
            removeTrack(handle, isPeerGone: false)
            guard let worker = shared.directory[origin.worker] else { continue }
            Task { await worker.removeBranch(of: origin, to: self.index, mirror: handle) }
        }
    }

    // MARK: - At the publisher's worker

    func outline(of track: TrackID) -> TrackOutline? {
        guard let found = tracks[track.handle], found.peer != nil else { return nil }
        return TrackOutline(
            publication: found.publication, times: found.encodings.map(\.time),
            isMuted: found.isMuted, muteVersion: found.muteVersion)
    }

    func addBranch(of track: TrackID, to worker: Int, mirror: UInt32) -> Bool {
        guard tracks[track.handle]?.peer != nil else { return false }
        if tracks[track.handle]?.branches[worker] != nil {
            rh_track_remove_branch(core, track.handle, UInt32(worker))
        }
        guard rh_track_add_branch(core, track.handle, UInt32(worker), mirror) == RH_OK else {
            tracks[track.handle]?.branches[worker] = nil
            return false
        }
        tracks[track.handle]?.branches[worker] = Track.Branch(mirror: mirror)
        return true
    }

    /// `mirror` tells a late removal from one of a newer branch.
    func removeBranch(of track: TrackID, to worker: Int, mirror: UInt32) {
        guard tracks[track.handle]?.branches[worker]?.mirror == mirror else { return }
        tracks[track.handle]?.branches[worker] = nil
        rh_track_remove_branch(core, track.handle, UInt32(worker))
    }

    /// A subscriber on worker `worker` waits for a keyframe, or lost too much.
    func requestKeyframe(of track: TrackID, encoding: Int, at worker: Int) {
        guard let known = tracks[track.handle], known.peer != nil,
            known.encodings.indices.contains(encoding)
        else { return }
        tracks[track.handle]?.branches[worker]?.wanted.bits |= 1 << UInt8(encoding)
        wantKeyframe(track.handle, encoding: encoding, nowUs: nowUs)
    }

    /// Which encodings the subscribers on worker `worker` receive or wait for.
    func noteWanted(
        _ wanted: WantedEncodings, of track: TrackID, at worker: Int, mirror: UInt32
    ) {
        guard let branch = tracks[track.handle]?.branches[worker], branch.mirror == mirror,
            Int32(bitPattern: wanted.version &- branch.wanted.version) > 0
        else { return }
        tracks[track.handle]?.branches[worker]?.wanted = wanted
    }

    /// Tells the other workers that the track is gone.
    func tellBranchesOfEnd(of track: Track) {
        tellBranches(of: track) { $0.loseMirror(of: $1) }
    }

    /// Tells the other workers whether the track is muted.
    func tellBranchesIfMuted(_ track: Track) {
        let (isMuted, version) = (track.isMuted, track.muteVersion)
        tellBranches(of: track) { $0.noteMuted(isMuted, version: version, of: $1) }
    }

    /// Repeats a sender report to the other workers.
    func tellBranches(of track: Track, encoding: Int, time: SourceTime) {
        tellBranches(of: track) { $0.noteTime(time, of: $1, encoding: encoding) }
    }

    /// A task that holds `self` begins on this worker's thread and goes straight to the other's:
    /// news between workers never waits for the threads that everything else shares.
    private func tellBranches(
        of track: Track, _ news: @escaping @Sendable (isolated Worker, TrackID) -> Void
    ) {
        let origin = track.origin
        for worker in track.branches.keys {
            guard let target = shared.directory[worker] else { continue }
            Task {
                _ = self
                await news(target, origin)
            }
        }
    }
}
