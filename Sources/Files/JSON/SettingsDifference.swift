/// Which settings of two runs differ, in words.
///
/// - Parameters:
///   - then: what the first run's settings are said to be, as in "was".
///   - now: the same for the second.
package func settingsDifference(_ a: JSONObject, _ b: JSONObject, then: String = "was", now: String = "now") -> String {
    func text(_ value: JSON?) -> String {
        guard let value, value != .null else { return "nothing" }
        return value.stringValue ?? value.serialized(indented: false)
    }
    let keys = a.keys + b.keys.filter { a[$0] == nil }
    return keys.filter { a[$0] != b[$0] }
        .map { "\($0) \(then) \(text(a[$0])), \(now) \(text(b[$0]))" }.joined(separator: "; ")
}
