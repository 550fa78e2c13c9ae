// Private keys on disk.
// SPDX-License-Identifier: Apache-2.0
import Foundation
public import JWTKit

/// Why a key cannot be had.
public struct KeyFileError: Error, CustomStringConvertible, Sendable {
    public let description: String
}

public enum KeyFile {
    /// Reads a P-256 private key in PEM, or makes one with mode 0600 when there is none.
    ///
    /// Two processes that start at once agree on one key: the file is created exclusively.
    public static func loadOrCreate(_ path: String) throws(KeyFileError) -> ES256PrivateKey {
        if let key = try load(path) { return key }
        let key = ES256PrivateKey()
        if try create(path, key.pemRepresentation) { return key }
        guard let other = try load(path) else {
            throw KeyFileError(description: "the key file \(path) vanished while it was read")
        }
        return other
    }

    /// Reads a key; nil when there is no file.
    public static func load(_ path: String) throws(KeyFileError) -> ES256PrivateKey? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        do {
            return try ES256PrivateKey(pem: String(contentsOfFile: path, encoding: .utf8))
        } catch {
            throw KeyFileError(description: "\(path) is not a readable P-256 key in PEM: \(error)")
        }
    }

    /// Writes a new file with mode 0600. Returns false when there is one already.
    package static func create(_ path: String, _ text: String) throws(KeyFileError) -> Bool {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        } catch {
            throw KeyFileError(description: "cannot make the folder \(folder): \(error)")
        }
        let temporary = path + ".\(UUID().uuidString)"
        defer { unlink(temporary) }
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw KeyFileError(description: "cannot write \(path): errno \(errno)")
        }
        let handle = FileHandle(fileDescriptor: file, closeOnDealloc: true)
        do {
            try handle.write(contentsOf: Data(text.utf8))
            try handle.synchronize()
            try handle.close()
        } catch {
            throw KeyFileError(description: "cannot write \(path): \(error)")
        }
        if link(temporary, path) == 0 { return true }
        if errno == EEXIST { return false }
        throw KeyFileError(description: "cannot write \(path): errno \(errno)")
    }
}
