// The browser application's files: headers that confine it, and its deep links.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPTypes
public import Hummingbird

/// Serves the folder of the web client to requests that no route answers.
///
/// A path below `/m/` and the pages of the application get `index.html`: the application reads the
/// address itself. Files are sent with an ETag and revalidated, so a new version shows at once.
public struct WebClientFiles<Context: RequestContext>: RouterMiddleware {
    private let files: FileMiddleware<Context, LocalFileSystem>
    private static var pages: Set<String> { ["/", "/signin", "/signup", "/home"] }

    /// - Parameter folder: where `index.html` lies. Throws `WebClientError` when it does not.
    public init(folder: String) throws(WebClientError) {
        let index = URL(filePath: folder).appending(path: "index.html").path
        guard FileManager.default.isReadableFile(atPath: index) else {
            throw WebClientError(folder: folder)
        }
        files = FileMiddleware(
            folder, cacheControl: .init([(.init(type: .any), [.noCache])]),
            searchForIndexHtml: true)
    }

    public func handle(
        _ request: Request, context: Context,
        next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        guard request.method == .get || request.method == .head else {
            return try await next(request, context)
        }
        var page = request
        if Self.pages.contains(request.uri.path) || request.uri.path.hasPrefix("/m/") {
            var head = request.head
            head.path = "/index.html"
            page = Request(head: head, body: request.body)
        }
        var response = try await files.handle(page, context: context) { _, context in
            try await next(request, context)
        }
        WebClientHeaders.apply(to: &response.headers)
        return response
    }
}

/// The folder of the web client cannot be used.
public struct WebClientError: Error, CustomStringConvertible {
    let folder: String
    public var description: String {
        "there is no web client in '\(folder)': name its folder with --web"
    }
}

/// What confines the application in a browser: no foreign code, no framing, no sniffing.
enum WebClientHeaders {
    static let policy = [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "font-src 'self'",
        "connect-src 'self' ws: wss:", "img-src 'self' data: blob:",
        "media-src 'self' blob: mediastream:", "worker-src 'self' blob:", "base-uri 'none'",
        "form-action 'none'", "frame-ancestors 'none'",
    ].joined(separator: "; ")

    private static let fields: [(String, String)] = [
        ("Content-Security-Policy", policy),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self)"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ]

    static func apply(to headers: inout HTTPFields) {
        for (name, value) in fields {
            guard let name = HTTPField.Name(name) else { continue }
            headers[name] = value
        }
    }
}
