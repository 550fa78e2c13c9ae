// An append-only file of lines that survives a crash at any moment.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Why a file operation failed.
public struct JournalError: Error, Sendable, CustomStringConvertible {
    public let path: String
    /// What was being done.
    public let doing: String
    /// errno
    public let code: Int32

    public var description: String {
        "\(doing) \(path) failed: \(String(cString: strerror(code)))"
    }
}

/// Blocking calls; one caller at a time.
struct JournalFile: ~Copyable {
    private let path: String
    private var descriptor: Int32

    /// What reading the file found.
    struct Contents {
        var lines: [Substring] = []
        /// Bytes at the end that are no whole line.
        var tornBytes = 0
    }

    private static func failure(_ path: String, _ doing: String) -> JournalError {
        JournalError(path: path, doing: doing, code: errno)
    }

    /// Opens or makes the file, mode 0600.
    init(path: String) throws(JournalError) {
        self.path = path
        descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        if descriptor < 0 { throw Self.failure(path, "opening") }
    }

    deinit { Glibc.close(descriptor) }

    /// All lines; a torn tail is cut off the file, so that the next line starts where it should.
    func read() throws(JournalError) -> Contents {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        var offset: off_t = 0
        while true {
            let count = pread(descriptor, &chunk, chunk.count, offset)
            if count < 0 && errno == EINTR { continue }
            if count < 0 { throw Self.failure(path, "reading") }
            if count == 0 { break }
            bytes += chunk[..<count]
            offset += off_t(count)
        }
        var contents = Contents()
        let end = bytes.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        contents.tornBytes = bytes.count - end
        if contents.tornBytes > 0 {
            guard ftruncate(descriptor, off_t(end)) == 0, fsync(descriptor) == 0 else {
                throw Self.failure(path, "truncating")
            }
        }
        contents.lines = String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\n")
        return contents
    }

    /// Writes the lines and waits until they are on the disk.
    func append(_ text: String) throws(JournalError) {
        try Self.write(text, to: descriptor, path)
        guard fdatasync(descriptor) == 0 else { throw Self.failure(path, "syncing") }
    }

    private static func write(
        _ text: String, to descriptor: Int32, _ path: String
    ) throws(JournalError) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw failure(path, "writing") }
            rest = rest.dropFirst(count)
        }
    }

    /// Puts `text` in place of everything: after a crash either the old or the new is there.
    mutating func replace(with text: String) throws(JournalError) {
        let next = path + ".new"
        let fresh = Glibc.open(next, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o600)
        if fresh < 0 { throw Self.failure(next, "opening") }
        do throws(JournalError) {
            try Self.write(text, to: fresh, next)
            guard fsync(fresh) == 0 else { throw Self.failure(next, "syncing") }
            guard rename(next, path) == 0 else { throw Self.failure(next, "renaming") }
        } catch {
            Glibc.close(fresh)
            throw error
        }
        Glibc.close(descriptor)
        descriptor = fresh
        try Self.syncFolder(of: path)
    }

    private static func syncFolder(of path: String) throws(JournalError) {
        let parent = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        let folder = parent.isEmpty ? "." : parent.joined(separator: "/")
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC
        let descriptor = Glibc.open(folder.isEmpty ? "/" : folder, flags)
        if descriptor < 0 { throw failure(folder, "opening") }
        defer { Glibc.close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure(folder, "syncing") }
    }
}

/// Makes a folder and those above it, mode 0700.
func makeFolder(_ path: String) throws(JournalError) {
    var built = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
        built += (built.isEmpty || built.hasSuffix("/") ? "" : "/") + part
        if mkdir(built, 0o700) != 0 && errno != EEXIST {
            throw JournalError(path: built, doing: "making the folder", code: errno)
        }
    }
}
