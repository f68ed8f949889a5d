import Files

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
            let lowercased = name.lowercased()
            let isBeginning = !word.isEmpty && lowercased.hasPrefix(word)
            return (name: name, distance: isBeginning ? 0 : NearestName.edits(word, lowercased))
        }
        guard let best = distances.min(by: { $0.distance < $1.distance }) else { return nil }
        return best.distance <= max(1, min(word.count, best.name.count) / 3) ? best.name : nil
    }
}
