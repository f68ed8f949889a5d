import Files

/// The SHA-256 of a list of paths: of each its length as 8 bytes, lowest first, then its bytes.
package struct InputDigest: Sendable, Equatable {
    private var state = SHA256()

    /// The digest of no paths.
    package init() {}

    /// Takes the next path.
    package mutating func add(_ path: [UInt8]) {
        withUnsafeBytes(of: UInt64(path.count).littleEndian) { state.add($0) }
        path.withUnsafeBytes { state.add($0) }
    }

    /// The digest of the paths so far as 64 hexadecimal digits.
    package var text: String { state.text }
}
