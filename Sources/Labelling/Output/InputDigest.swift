import Files

/// The SHA-256 of a list of paths: of each its length as 8 bytes, lowest first, then its bytes.
struct InputDigest: Sendable, Equatable {
    private var state = SHA256()

    /// Takes the next path.
    mutating func add(_ path: [UInt8]) {
        withUnsafeBytes(of: UInt64(path.count).littleEndian) { state.add($0) }
        path.withUnsafeBytes { state.add($0) }
    }

    /// The digest of the paths so far as 64 hexadecimal digits.
    var text: String { state.text }
}
