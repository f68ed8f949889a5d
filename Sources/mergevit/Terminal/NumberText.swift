/// Items a second, with one decimal.
func rate(_ count: Int, _ seconds: Double) -> String { tenths(Double(count) / max(seconds, 1e-3)) }

/// One decimal.
func tenths(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
}

/// 59 s as 0:59, and an hour more as 1:00:59.
func clock(_ seconds: Double) -> String {
    let whole = Int(min(seconds, 1e9).rounded())
    func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let hours = whole / 3600
    let minutes = whole / 60 % 60
    return (hours > 0 ? "\(hours):\(two(minutes))" : "\(minutes)") + ":\(two(whole % 60))"
}

/// Three decimals.
func thousandths(_ value: Double) -> String {
    let thousandths = Int((min(value, 1e9) * 1000).rounded())
    let rest = "\(thousandths % 1000)"
    return "\(thousandths / 1000).\(String(repeating: "0", count: 3 - rest.count))\(rest)"
}
