/// Class names as people write them: trimming, and names that are probably spellings of the same class.
enum ClassName {
    /// A name without white space at its ends.
    static func trimmed(_ name: String) -> String {
        var rest = name[...]
        while rest.first.map(isBlank) == true { rest.removeFirst() }
        while rest.last.map(isBlank) == true { rest.removeLast() }
        return String(rest)
    }

    /// A warning about names that differ only by case, spaces or forms of letters; nil if there are none.
    static func warning(of classes: [String]) -> String? {
        var groups: [String: [String]] = [:]
        for name in classes { groups[folded(name), default: []].append(name) }
        let duplicates = classes.compactMap { groups[folded($0)] }.filter { $0.count > 1 }
        var distinct: Set<[String]> = []
        let descriptions = duplicates.filter { distinct.insert($0).inserted }.map { names in
            names.map { "\"\($0)\"" }.joined(separator: " and ")
        }
        guard !descriptions.isEmpty else { return nil }
        return "classes that differ by case, spaces or the form of letters alone: \(LabelledImages.some(descriptions))"
    }

    /// A name without differences that people do not mean: case, spaces, hyphens and underscores, full-width letters.
    /// Comparing strings ignores how accents are composed.
    private static func folded(_ name: String) -> String {
        var folded = String.UnicodeScalarView()
        for scalar in name.unicodeScalars where !isBlank(Character(scalar)) && scalar != "_" && scalar != "-" {
            let isWide = (0xFF01...0xFF5E).contains(scalar.value)
            folded.append(isWide ? Unicode.Scalar(scalar.value - 0xFEE0) ?? scalar : scalar)
        }
        return String(folded).lowercased()
    }

    /// Whether a character is white space or has no width, as byte order marks and joiners.
    private static func isBlank(_ character: Character) -> Bool {
        character.isWhitespace
            || character.unicodeScalars.allSatisfy { [0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF].contains($0.value) }
    }
}
