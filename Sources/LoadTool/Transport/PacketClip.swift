// A clip as the packet loops borrow it. SPDX-License-Identifier: Apache-2.0

import CMedia

/// Encoded media at a fixed address. Keep it until the loops have stopped.
package struct PacketClip: @unchecked Sendable {
    // Unchecked: a clip never changes.
    let pointer: UnsafePointer<rh_clip>
    /// Frees the clip.
    private let owner: AnyObject

    init(_ pointer: UnsafePointer<rh_clip>, owner: AnyObject) {
        self.pointer = pointer
        self.owner = owner
    }
}
