import Testing

@testable import Files

@Suite struct JSONTests {
    func parse(_ text: String) throws(JSONError) -> JSON { try JSON(parsing: Array(text.utf8)) }

    @Test func keepsOrderAndDigits() throws {
        let text = #"{"b": 1e-12, "a": [1, 2.50], "c": "\u00e9\ud83d\ude00\n"}"#
        let value = try parse(text)
        #expect(value.objectValue?.keys == ["b", "a", "c"])
        #expect(value.objectValue?["c"]?.stringValue == "é😀\n")
        #expect(value.objectValue?["b"]?.doubleValue == 1e-12)
        #expect(value.serialized(indented: false) == #"{"b": 1e-12, "a": [1, 2.50], "c": "é😀\n"}"#)
        #expect(try parse(value.serialized()) == value)
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\":1,}", "nul", "01", "1.", "+1", "NaN", "Infinity", "\"\\x\"", "\"\\ud800\"",
        "\"\u{1}\"",
        "{} x", "{\"a\" 1}", "'a'", "[1 2]", "\"\\u12g4\"", "-",
    ])
    func refusesWhatIsNotJSON(_ text: String) {
        #expect(throws: JSONError.self) { try parse(text) }
    }

    @Test func refusesDuplicateKeysByName() {
        let error = #expect(throws: JSONError.self) { try parse(#"{"a": 1, "a": 2}"#) }
        #expect(error?.description == "duplicate key \"a\" at byte 9")
    }

    @Test func refusesDeepNestingWithoutRecursingIntoIt() {
        let deep = String(repeating: "[", count: 1_000_000)
        #expect(throws: JSONError.self) { try parse(deep) }
        let allowed = String(repeating: "[", count: 60) + String(repeating: "]", count: 60)
        #expect(throws: Never.self) { try parse(allowed) }
    }

    @Test func refusesInvalidUTF8() {
        #expect(throws: JSONError.self) { try JSON(parsing: [0x22, 0xFF, 0x22]) }
    }

    @Test func integersHaveNoFraction() throws {
        #expect(try parse("3.0").intValue == 3)
        #expect(try parse("3.5").intValue == nil)
        #expect(try parse("1e300").intValue == nil)
        #expect(try parse("99999999999999999999").intValue == nil)
    }
}
