/// What class names are made of what people write, and which are likely to be one that was written in two ways.
enum ClassName {
    /// A name without white space at its ends.
    static func trimmed(_ name: String) -> String {
        var rest = name[...]
        while rest.first.map(isBlank) == true { rest.removeFirst() }
        while rest.last.map(isBlank) == true { rest.removeLast() }
        return String(rest)
    }

    /// The sentence about names that differ by case, spaces or forms of letters alone; nil without any.
    static func warning(of classes: [String]) -> String? {
        var groups: [String: [String]] = [:]
        for name in classes { groups[folded(name), default: []].append(name) }
        let doubled = classes.compactMap { groups[folded($0)] }.filter { $0.count > 1 }
        var seen: Set<[String]> = []
        let shown = doubled.filter { seen.insert($0).inserted }.map { names in
            names.map { "\"\($0)\"" }.joined(separator: " and ")
        }
        guard !shown.isEmpty else { return nil }
        return "classes that differ by case, spaces or the form of letters alone: \(LabelledImages.some(shown))"
    }

    /// A name without what people do not see or do not mean: case, spaces, hyphens and underscores, wide letters,
    /// accents put together in either way.
    private static func folded(_ name: String) -> String {
        var folded = String.UnicodeScalarView()
        for scalar in name.unicodeScalars where !isBlank(Character(scalar)) && scalar != "_" && scalar != "-" {
            let isWide = (0xFF01...0xFF5E).contains(scalar.value)
            folded.append(isWide ? Unicode.Scalar(scalar.value - 0xFEE0) ?? scalar : scalar)
        }
        return String(folded).lowercased()
    }

    /// White space, and what has no width: byte order marks, joiners.
    private static func isBlank(_ character: Character) -> Bool {
        character.isWhitespace
            || character.unicodeScalars.allSatisfy { [0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF].contains($0.value) }
    }
}
