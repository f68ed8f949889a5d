import Testing

@testable import Files

/// The examples of FIPS 180-4 (NIST's "SHA256.pdf") and its long message.
@Suite struct SHA256Tests {
    private static let ofNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    private func text(_ pieces: [UInt8]...) -> String { SHA256.text(of: pieces) }

    @Test(arguments: [
        ("", ofNothing),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
        ),
        (String(repeating: "a", count: 1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ]) func publishedExamples(message: String, digest: String) {
        #expect(SHA256.text(ofUTF8: message) == digest)
        #expect(text(Array(message.utf8)) == digest)
        #expect(Array(message.utf8).withUnsafeBytes { SHA256.text(of: $0) } == digest)
    }

    @Test func nothingIsTheDigestOfNoBytes() {
        #expect(SHA256().text == Self.ofNothing)
        #expect(SHA256.text(of: UnsafeRawBufferPointer(start: nil, count: 0)) == Self.ofNothing)
        #expect(text([], []) == Self.ofNothing)
    }

    @Test func piecesMayEndAnywhere() {
        let message = (0..<131).map { UInt8($0) }
        let whole = text(message)
        for cut in 0...message.count { #expect(text(Array(message[..<cut]), Array(message[cut...])) == whole) }
    }

    @Test func aDigestContinuesAfterItWasAskedFor() {
        var digest = SHA256()
        for count in 0..<131 {
            #expect(digest.text == text((0..<count).map { UInt8($0) }))
            withUnsafeBytes(of: UInt8(count)) { digest.add($0) }
        }
    }

    @Test func aCopyContinuesOnItsOwn() {
        var digest = SHA256()
        withUnsafeBytes(of: UInt8(1)) { digest.add($0) }
        var copy = digest
        #expect(copy == digest)
        withUnsafeBytes(of: UInt8(2)) { copy.add($0) }
        #expect(digest.text == text([1]) && copy.text == text([1, 2]) && copy != digest)
    }
}
