/// Writes scores with six decimals: correctly rounded (halves to even), the same in every locale, never "-0.000000".
package enum ScoreFormatter {
    /// Appends a finite value, exact as `printf("%.6f")` is, but for the sign of a zero.
    package static func append(_ value: Double, to bytes: inout [UInt8]) {
        let magnitude = value.magnitude
        // Every 32-bit float is below this.
        guard magnitude < 0x1p128 else {
            bytes.append(contentsOf: "\(value)".utf8)
            return
        }
        var whole = UInt128(magnitude)
        // The fraction is exact; its product with a million is `scaled + missing`, exactly.
        let fraction = magnitude - Double(whole)
        let scaled = fraction * 1e6
        let missing = (-scaled).addingProduct(fraction, 1e6)
        var millionths = UInt64(scaled)
        let rest = scaled - Double(millionths)
        if rest > 0.5 || (rest == 0.5 && (missing > 0 || (missing == 0 && millionths % 2 == 1))) { millionths += 1 }
        if millionths == 1_000_000 {
            millionths = 0
            whole += 1
        }
        if value < 0 && (whole > 0 || millionths > 0) { bytes.append(UInt8(ascii: "-")) }
        if whole < 10 {
            bytes.append(UInt8(ascii: "0") + UInt8(whole))
        } else {
            bytes.append(contentsOf: String(whole).utf8)
        }
        bytes.append(UInt8(ascii: "."))
        var divisor: UInt64 = 100_000
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(millionths / divisor % 10))
            divisor /= 10
        }
    }
}

/// Writes the values of heads without activation.
package enum ValueFormatter {
    /// Appends a finite 32-bit float by the fewest digits that give it back, such as `0.25`, `-3.0` or `1.5e-07`; never
    /// `-0.0`.
    package static func append(_ value: Double, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: (value == 0 ? "0.0" : Float(value).description).utf8)
    }
}
