package import Evaluation

/// Numbers for reading: decimal point, minus sign U+2212, narrow spaces between thousands and before the percent sign.
package enum NumberText {
    /// A number with a fixed number of decimals, halves rounded away from zero.
    package static func fixed(_ value: Double, _ decimals: Int) -> String {
        var factor = 1.0
        for _ in 0..<decimals { factor *= 10 }
        let scaled = (abs(value) * factor).rounded()
        guard scaled < 1e15 else { return "\(value)" }
        let digits = String(Int(scaled))
        let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
        let sign = value < 0 && scaled > 0 ? "\u{2212}" : ""
        guard decimals > 0 else { return sign + grouped(padded) }
        return sign + grouped(String(padded.dropLast(decimals))) + "." + padded.suffix(decimals)
    }

    /// A number with four significant digits and at most six decimals.
    package static func significant(_ value: Double) -> String {
        guard value != 0, value.isFinite else { return value == 0 ? "0" : "\(value)" }
        var (decimals, size) = (3, abs(value))
        while size < 1, decimals < 6 { (size, decimals) = (size * 10, decimals + 1) }
        while size >= 10, decimals > 0 { (size, decimals) = (size / 10, decimals - 1) }
        return fixed(value, decimals)
    }

    /// A share as a percentage.
    package static func percent(_ share: Double, _ decimals: Int = 1) -> String {
        fixed(100 * share, decimals) + "\u{202F}%"
    }

    /// A count.
    package static func count(_ value: Int) -> String { fixed(Double(value), 0) }

    /// A count with its noun, in the plural unless the count is 1.
    package static func count(_ value: Int, _ noun: String, _ plural: String? = nil) -> String {
        "\(count(value)) \(value == 1 ? noun : plural ?? noun + "s")"
    }

    /// Both ends of an interval.
    package static func range(_ interval: ConfidenceInterval, _ text: (Double) -> String) -> String {
        "\(text(interval.low)) to \(text(interval.high))"
    }

    /// A p-value.
    package static func pValue(_ value: Double) -> String { value < 0.001 ? "p < 0.001" : "p = \(fixed(value, 3))" }

    /// A coordinate of a drawing, truncated to hundredths of a pixel.
    static func coordinate(_ value: Double) -> String {
        let hundredths = Int((value.isFinite ? min(max(value, -1e6), 1e6) : 0) * 100)
        let (whole, rest) = (abs(hundredths) / 100, abs(hundredths) % 100)
        let sign = hundredths < 0 ? "-" : ""
        if rest == 0 { return "\(sign)\(whole)" }
        return "\(sign)\(whole).\(rest % 10 == 0 ? "\(rest / 10)" : rest < 10 ? "0\(rest)" : "\(rest)")"
    }

    private static func grouped(_ digits: String) -> String {
        guard digits.count > 4 else { return digits }
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text += "\u{202F}" }
            text.append(digit)
        }
        return text
    }
}
