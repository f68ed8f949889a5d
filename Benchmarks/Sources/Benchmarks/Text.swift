import Files
import Tensors

/// Columns of tables.
enum Text {
    static func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    static func right(_ value: Double, _ decimals: Int, _ width: Int) -> String {
        right(decimal(value, decimals), width)
    }

    /// A number that is not negative with a fixed number of decimals.
    static func decimal(_ value: Double, _ decimals: Int) -> String {
        guard value.isFinite else { return "\(value)" }
        let scale = (0..<decimals).reduce(1.0) { power, _ in power * 10 }
        let digits = String(Int((value * scale).rounded()))
        let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
        return decimals == 0 ? padded : "\(padded.dropLast(decimals)).\(padded.suffix(decimals))"
    }
}

extension JSON {
    /// A number with a fixed number of decimals, or null.
    static func number(_ value: Double, decimals: Int) -> JSON {
        value.isFinite ? .number(Text.decimal(value, decimals)) : .null
    }
}
