// Tracks that are received on one worker and subscribed on another.
// SPDX-License-Identifier: Apache-2.0

import CRouter

/// What another worker needs to know to mirror a track.
struct TrackOutline: Sendable {
    let publication: PublicationDescription
    let times: [SourceTime?]
}

extension Worker {
    /// A mirror without slots is kept so long: people scroll back.
    static let lingerUs: UInt64 = 5_000_000

    // MARK: - At the subscriber's worker

    /// True when a mirror of the track is there; makes it otherwise.
    func ensureMirror(of track: TrackID) async -> Bool {
        if let mirror = mirrors[track] {
            tracks[mirror]?.lingerUntilUs = nowUs + Self.lingerUs
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
        mirror.lingerUntilUs = nowUs + Self.lingerUs
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

    /// Removes mirrors that nobody has used for a while.
    func sweepMirrors(nowUs: UInt64) {
        for (origin, handle) in mirrors {
            guard let track = tracks[handle], track.slotCount == 0, nowUs >= track.lingerUntilUs,
                mirrorsInMaking[origin] == nil
            else { continue }
            removeTrack(handle, isPeerGone: false)
            guard let worker = shared.directory[origin.worker] else { continue }
            let own = index
            Task.detached { await worker.removeBranch(of: origin, to: own, mirror: handle) }
        }
    }

    // MARK: - At the publisher's worker

    func outline(of track: TrackID) -> TrackOutline? {
        guard let found = tracks[track.handle], found.peer != nil else { return nil }
        return TrackOutline(
            publication: found.publication, times: found.encodings.map(\.time))
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
        tracks[track.handle]?.branches[worker] = mirror
        return true
    }

    /// `mirror` tells a late removal from one of a newer branch.
    func removeBranch(of track: TrackID, to worker: Int, mirror: UInt32) {
        guard tracks[track.handle]?.branches[worker] == mirror else { return }
        tracks[track.handle]?.branches[worker] = nil
        rh_track_remove_branch(core, track.handle, UInt32(worker))
    }

    /// A subscriber on another worker waits for a keyframe.
    func requestKeyframe(of track: TrackID, encoding: Int) {
        wantKeyframe(track.handle, encoding: encoding, nowUs: nowUs)
    }

    /// Tells the other workers that the track is gone.
    func tellBranches(of track: Track, isGone: Bool) {
        let origin = track.origin
        for worker in track.branches.keys {
            guard let target = shared.directory[worker] else { continue }
            Task.detached { await target.loseMirror(of: origin) }
        }
    }

    /// Repeats a sender report to the other workers.
    func tellBranches(of track: Track, encoding: Int, time: SourceTime) {
        let origin = track.origin
        for worker in track.branches.keys {
            guard let target = shared.directory[worker] else { continue }
            Task.detached { await target.noteTime(time, of: origin, encoding: encoding) }
        }
    }
}
