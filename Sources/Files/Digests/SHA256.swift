internal import CCrypto

/// A running SHA-256 (FIPS 180-4): asked for the digest at any point, it can still take more bytes.
package struct SHA256: Sendable {
    private var state = mv_sha256()

    /// The digest of no bytes.
    package init() { mv_sha256_start(&state) }

    /// Takes the next bytes.
    package mutating func add(_ bytes: UnsafeRawBufferPointer) {
        guard let address = bytes.baseAddress else { return }
        mv_sha256_add(&state, address, bytes.count)
    }

    /// The first 128 bits of the digest of all bytes so far, as two big-endian numbers.
    package var prefix: (UInt64, UInt64) {
        let digest = bytes
        func number(_ range: Range<Int>) -> UInt64 { digest[range].reduce(0) { $0 << 8 | UInt64($1) } }
        return (number(0..<8), number(8..<16))
    }

    private var bytes: [UInt8] {
        var digest = [UInt8](repeating: 0, count: Int(MV_SHA256_BYTES))
        withUnsafePointer(to: state) { mv_sha256_result($0, &digest) }
        return digest
    }

    /// The digest of all bytes so far, as 64 hexadecimal digits.
    package var text: String {
        let digest = bytes
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

extension SHA256: Equatable {
    package static func == (a: SHA256, b: SHA256) -> Bool { a.text == b.text }
}

extension SHA256 {
    /// The SHA-256 of some bytes, as 64 hexadecimal digits.
    package static func text(of bytes: UnsafeRawBufferPointer) -> String {
        var digest = SHA256()
        digest.add(bytes)
        return digest.text
    }

    /// The SHA-256 of a string's UTF-8, as 64 hexadecimal digits.
    package static func text(ofUTF8 string: String) -> String {
        var string = string
        return string.withUTF8 { text(of: UnsafeRawBufferPointer($0)) }
    }

    /// The SHA-256 of several pieces one after the other, as 64 hexadecimal digits.
    package static func text(of pieces: some Sequence<[UInt8]>) -> String {
        var digest = SHA256()
        for piece in pieces { piece.withUnsafeBytes { digest.add($0) } }
        return digest.text
    }
}
