/// Which settings of two runs differ, in words, such as "epochs was 4, now 5; lr was 0.003, now 0.01".
///
/// - Parameters:
///   - then: what the first run's settings are said to be, as in "was".
///   - now: the same for the second.
///   - missing: stands for a setting that a run does not have.
///   - limit: the maximum number of characters of a value; longer ones are cut.
package func settingsDifference(
    _ a: JSONObject, _ b: JSONObject, then: String = "was", now: String = "now", missing: String = "nothing",
    limit: Int = .max
) -> String {
    func text(_ value: JSON?) -> String {
        guard let value, value != .null else { return missing }
        let text = value.stringValue ?? value.serialized(indented: false)
        return text.count > limit ? text.prefix(limit - 1) + "…" : text
    }
    let keys = a.keys + b.keys.filter { a[$0] == nil }
    return keys.filter { a[$0] != b[$0] }
        .map { "\($0) \(then) \(text(a[$0])), \(now) \(text(b[$0]))" }.joined(separator: "; ")
}
