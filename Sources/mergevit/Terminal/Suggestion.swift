/// Suggests a name for one that is not known, as the argument parser does for options.
enum Suggestion {
    /// " Did you mean 'label'?" if one of the names is close to what was written; else nothing.
    static func sentence(for word: String, among names: [String]) -> String {
        closest(to: word, among: names).map { " Did you mean '\($0)'?" } ?? ""
    }

    /// The name that a word was most likely meant to be: one that it begins, or that differs in few letters.
    static func closest(to word: String, among names: [String]) -> String? {
        let word = word.lowercased()
        let distances = names.map { name in
            (
                name: name,
                distance: !word.isEmpty && name.lowercased().hasPrefix(word) ? 0 : distance(word, name.lowercased())
            )
        }
        guard let best = distances.min(by: { $0.distance < $1.distance }) else { return nil }
        return best.distance <= max(1, min(word.count, best.name.count) / 3) ? best.name : nil
    }

    /// The number of letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
    private static func distance(_ first: String, _ second: String) -> Int {
        let (a, b) = (Array(first), Array(second))
        var (beforePrevious, previous) = ([Int](), Array(0...b.count))
        for i in a.indices {
            var current = [i + 1]
            for j in b.indices {
                var cost = min(previous[j + 1] + 1, current[j] + 1, previous[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforePrevious[j - 1] + 1) }
                current.append(cost)
            }
            (beforePrevious, previous) = (previous, current)
        }
        return previous.last ?? 0
    }
}
