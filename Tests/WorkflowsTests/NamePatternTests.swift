import Testing
import VisionTransformers

@testable import Workflows

@Suite struct NamePatternTests {
    @Test func aPatternHasOneCaptureGroup() throws {
        for (text, error) in [
            ("(", NamePatternError.syntax), ("[a", .syntax), ("abc", .captures(0)), ("(a)(b)", .captures(2)),
            ("a)|(b", .syntax), ("(?:a)", .captures(0)),
        ] {
            #expect(throws: error) { try NamePattern(text) }
        }
        #expect(try NamePattern("a(b)").text == "a(b)")
        #expect(try NamePattern("(?:x|y)([0-9]+)").text == "(?:x|y)([0-9]+)")
    }

    @Test func namesAreGroupedByWhatIsCaptured() throws {
        let names = ["stop/00001_00029.png", "stop/00001_00000.png", "go/00002_00001.png"]
        #expect(try NamePattern("([^/]+)_[0-9]+").groups(of: names) == ["00001", "00001", "00002"])
        #expect(try NamePattern("^(.*)$").groups(of: names) == names)
        for pattern in ["(x)", "_(x)?"] {
            let error = #expect(throws: ModelError.self) { try NamePattern(pattern).groups(of: names) }
            #expect("\(try #require(error))".contains("stop/00001_00029.png"), "\(pattern)")
        }
    }
}
