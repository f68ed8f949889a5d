import Crypto

/// The SHA-256 of bytes that come in pieces; it can be told at any point and goes on after it.
struct RunningDigest: Sendable, Equatable {
    private var state = SHA256()

    /// Takes further bytes.
    mutating func add(_ bytes: UnsafeRawBufferPointer) { state.update(bufferPointer: bytes) }

    /// The SHA-256 of all bytes so far as 64 hexadecimal digits.
    var text: String {
        let digits = Array("0123456789abcdef")
        return String(state.finalize().flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }

    static func == (a: RunningDigest, b: RunningDigest) -> Bool { a.text == b.text }
}

/// The SHA-256 of a list of paths: of each its length as 8 bytes, lowest first, then its bytes.
struct InputDigest: Sendable, Equatable {
    private var state = RunningDigest()

    /// Takes the next path.
    mutating func add(_ path: [UInt8]) {
        withUnsafeBytes(of: UInt64(path.count).littleEndian) { state.add($0) }
        path.withUnsafeBytes { state.add($0) }
    }

    /// The digest of the paths so far as 64 hexadecimal digits.
    var text: String { state.text }
}
