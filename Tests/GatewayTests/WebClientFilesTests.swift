// How the browser application is served. SPDX-License-Identifier: Apache-2.0
import Foundation
import Gateway
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Testing

@Suite struct WebClientFilesTests {
    /// Serves a folder with an index page and a script; the folder is removed afterwards.
    private func withClient(
        _ body: @Sendable (any TestClientProtocol) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "roundhouse-web-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data("<title>page</title>".utf8).write(to: folder.appending(path: "index.html"))
        try Data("export {}".utf8).write(to: folder.appending(path: "app.js"))
        let router = Router()
        router.add(middleware: try WebClientFiles<BasicRequestContext>(folder: folder.path))
        router.get("healthz") { _, _ in "ok" }
        try await Application(router: router).test(.router, body)
    }

    @Test(arguments: ["/", "/m/abc-defg-hij"])
    func applicationPagesGetTheIndex(path: String) async throws {
        try await withClient { client in
            try await client.execute(uri: path, method: .get) { response in
                #expect(response.status == .ok)
                #expect(String(buffer: response.body).contains("page"))
            }
        }
    }

    @Test func filesCarryTypeTagAndConfinement() async throws {
        try await withClient { client in
            try await client.execute(uri: "/app.js", method: .get) { response in
                #expect(response.headers[.contentType]?.contains("javascript") == true)
                #expect(response.headers[.eTag] != nil)
                let policy = HTTPField.Name("Content-Security-Policy").flatMap {
                    response.headers[$0]
                }
                #expect(policy?.contains("default-src 'none'") == true)
                #expect(policy?.contains("unsafe") == false)
            }
        }
    }

    @Test(arguments: ["/nothing.js", "/../secret", "/%2e%2e/secret"])
    func nothingElseIsServed(path: String) async throws {
        try await withClient { client in
            try await client.execute(uri: path, method: .get) { response in
                #expect(response.status == .notFound || response.status == .badRequest)
            }
        }
    }

    @Test func routesComeFirst() async throws {
        try await withClient { client in
            try await client.execute(uri: "/healthz", method: .get) { response in
                #expect(String(buffer: response.body) == "ok")
            }
        }
    }

    @Test func folderWithoutClientIsAClearError() {
        #expect(throws: WebClientError.self) {
            _ = try WebClientFiles<BasicRequestContext>(folder: "/nonexistent")
        }
    }
}
