// The OpenAPI document that describes the REST interface, as JSON.
// SPDX-License-Identifier: Apache-2.0
import CDocuments
import Foundation
import Yams

/// Reads the document that is compiled into the program.
public enum OpenAPIDocument {
    /// The YAML source.
    public static var source: String {
        text(of: rh_document_openapi())
    }

    /// The document as JSON text.
    public static func json() throws -> String {
        String(decoding: try JSONEncoder.sorted.encode(value()), as: UTF8.self)
    }

    /// The document as a value.
    public static func value() throws -> JSONValue {
        guard let node = try Yams.compose(yaml: source) else { return .null }
        return convert(node)
    }

    /// `GET /account` and so on, for every operation.
    public static func operations() throws -> Set<String> {
        guard case .object(let document) = try value(),
            case .object(let paths) = document["paths"]
        else { return [] }
        let methods: Set<String> = ["get", "put", "post", "delete", "patch", "head", "options"]
        return Set(
            paths.flatMap { path, item -> [String] in
                guard case .object(let members) = item else { return [] }
                return members.keys.filter { methods.contains($0) }
                    .map { "\($0.uppercased()) \(path)" }
            })
    }

    private static func convert(_ node: Node) -> JSONValue {
        switch node {
        case .mapping(let mapping):
            let pairs = mapping.map { ($0.key.string ?? "", convert($0.value)) }
            return .object(Dictionary(pairs) { $1 })
        case .sequence(let sequence):
            return .array(sequence.map(convert))
        case .scalar(let scalar):
            if scalar.style != .plain { return .string(scalar.string) }
            if node.null != nil { return .null }
            if let value = node.bool { return .bool(value) }
            if let value = node.float { return .number(value) }
            return .string(scalar.string)
        case .alias:
            return .null
        }
    }
}

/// The JSON Schema of the WebSocket protocol's packets, compiled into the program.
public enum PacketsDocument {
    public static var source: String { text(of: rh_document_packets()) }
}

private func text(of document: rh_document) -> String {
    String(
        decoding: UnsafeBufferPointer(start: document.bytes, count: document.size), as: UTF8.self)
}
