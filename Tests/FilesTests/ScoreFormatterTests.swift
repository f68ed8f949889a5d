import Foundation
import Testing

@testable import Files

@Suite struct ScoreFormatterTests {
    private func formatted(_ value: Double) -> String {
        var bytes: [UInt8] = []
        ScoreFormatter.append(value, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// What C gives, but without the sign of a value that rounds to zero.
    private func expected(_ value: Double) -> String {
        let text = String(format: "%.6f", value)
        return text == "-0.000000" ? "0.000000" : text
    }

    @Test(arguments: [
        0, -0.0, 1, -1, 0.5, 0.53299, 0.9999994999, 0.9999995, 0.99999951, 9.9999999, -9.9999999, 1e-7, -1e-7, 4e-7,
        5e-7, 0.0000005, 0.0000015, 0.0000025, -0.0000005, 0.1, 1 / 3.0, 12.3456785, 999_999.999_999_5, 1e15, -1e15,
        4_503_599_627_370_495.5, 9_007_199_254_740_992, 1e22, 3.4028234663852886e38, -3.4028234663852886e38,
        1.5 / 64, 0.000_000_476_837_158_203_125, .leastNonzeroMagnitude, 2.220446049250313e-16, 8_388_607.5,
        0.001_953_125 / 2,
    ])
    func agreesWithC(_ value: Double) { #expect(formatted(value) == expected(value)) }

    @Test func agreesWithCOnRandomValues() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<50_000 {
            for value in [
                Double.random(in: 0...1, using: &random), Double.random(in: -40...40, using: &random),
                Double(Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &random))),
                // Halves of a millionth, where the rounding is decided by the last bit.
                (Double(Int.random(in: 0..<4_000_000, using: &random)) + 0.5) / 1e6,
                Double(Int.random(in: 0..<1 << 20, using: &random)) / 0x1p20,
            ] where value.isFinite {
                let (actual, wanted) = (formatted(value), expected(value))
                if actual != wanted { Issue.record("\(value.bitPattern): \(actual), not \(wanted)") }
            }
        }
    }
}
