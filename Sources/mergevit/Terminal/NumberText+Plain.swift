import Reports

/// Numbers for terminals, and for programs that read what is printed there.
extension NumberText {
    /// A number with a fixed number of decimals, in ASCII without separators.
    static func plain(_ value: Double, _ decimals: Int) -> String { ascii(fixed(value, decimals)) }

    /// A number with four significant digits, in ASCII without separators.
    static func plainSignificant(_ value: Double) -> String { ascii(significant(value)) }

    /// With a plain minus sign and no spaces between thousands.
    private static func ascii(_ text: String) -> String {
        text.replacing("\u{2212}", with: "-").replacing("\u{202F}", with: "")
    }
}

/// Items per second, with one decimal.
func rate(_ count: Int, _ seconds: Double) -> String { tenths(Double(count) / max(seconds, 1e-3)) }

/// One decimal.
func tenths(_ value: Double) -> String { NumberText.plain(value, 1) }

/// Three decimals.
func thousandths(_ value: Double) -> String { NumberText.plain(value, 3) }

/// 59 s as 0:59, and an hour more as 1:00:59.
func clock(_ seconds: Double) -> String {
    let whole = Int(min(seconds, 1e9).rounded())
    func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let hours = whole / 3600
    let minutes = whole / 60 % 60
    return (hours > 0 ? "\(hours):\(two(minutes))" : "\(minutes)") + ":\(two(whole % 60))"
}

extension Double {
    /// The nearest multiple of 1 / `parts`.
    func rounded(to parts: Double) -> Double { (self * parts).rounded() / parts }
}
