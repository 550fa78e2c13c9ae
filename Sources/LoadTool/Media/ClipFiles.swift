// Clips from files. SPDX-License-Identifier: Apache-2.0

import CMedia
import Foundation

extension Clip {
    /// The largest file that is read.
    static let fileBytesMax = 1 << 30

    /// Reads IVF (VP8, VP9), Ogg Opus or an H.264 byte stream, told apart by the first bytes. The
    /// error names the file.
    /// - Parameter framesPerSecond: of H.264, whose files do not say.
    package static func reading(
        _ path: String, framesPerSecond: Int = 30
    ) throws(ClipError) -> Clip {
        let bytes = try contents(path)
        do {
            return try reading(bytes, framesPerSecond: framesPerSecond)
        } catch {
            throw ClipError("\(path): \(error)")
        }
    }

    /// Reads a file's bytes.
    package static func reading(
        _ bytes: [UInt8], framesPerSecond: Int = 30
    ) throws(ClipError) -> Clip {
        var error = rh_clip_error()
        if bytes.starts(with: Array("DKIF".utf8)) {
            return try Clip(rh_clip_read_ivf(bytes, bytes.count, 0, &error), error)
        }
        if bytes.starts(with: Array("OggS".utf8)) {
            return try Clip(rh_clip_read_ogg_opus(bytes, bytes.count, &error), error)
        }
        if bytes.starts(with: [0, 0, 1]) || bytes.starts(with: [0, 0, 0, 1]) {
            var options = rh_clip_video_options()
            options.frames_per_second = UInt16(clamping: framesPerSecond)
            return try Clip(rh_clip_read_h264(bytes, bytes.count, &options, &error), error)
        }
        throw ClipError("neither IVF, Ogg Opus nor an H.264 byte stream")
    }

    private static func contents(_ path: String) throws(ClipError) -> [UInt8] {
        do {
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { try? file.close() }
            let data = try file.read(upToCount: fileBytesMax + 1) ?? Data()
            guard data.count <= fileBytesMax else {
                throw ClipError("\(path): larger than \(fileBytesMax >> 20) MiB")
            }
            return [UInt8](data)
        } catch let error as ClipError {
            throw error
        } catch {
            throw ClipError("\(path): cannot be read: \(error.localizedDescription)")
        }
    }
}
