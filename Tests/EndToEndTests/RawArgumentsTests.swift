import Testing

@testable import mergevit

@Suite struct RawArgumentsTests {
    @Test(arguments: [
        "", "a.png", "--threshold", "é/日本/😀.png", "e\u{301}", "\u{10F880}", "\u{10F8FF}\u{10F800}", "\u{10FFFF}",
        "\r\n",
    ])
    func textComesBackAsItWas(_ text: String) {
        let bytes = Array(text.utf8)
        #expect(RawArguments.bytes(of: RawArguments.text(of: bytes)) == bytes)
    }

    @Test func anyBytesComeBackAsTheyWere() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<5_000 {
            // Mostly bytes that begin or continue sequences, so that both whole and broken ones come about.
            let bytes = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                [UInt8.random(in: 1...255, using: &random), 0x8F, 0xA3, 0x80, 0xF4, 0xED, 0xC3].randomElement() ?? 1
            }
            let text = RawArguments.text(of: bytes)
            if RawArguments.bytes(of: text) != bytes { Issue.record("\(bytes) became \(text)") }
        }
    }

    @Test func ordinaryTextIsNotTouched() {
        #expect(RawArguments.text(of: Array("--tasks=é,日本".utf8)) == "--tasks=é,日本")
    }
}
