/// Class names as people write them: trimming, and names that are probably spellings of the same class.
package enum ClassName {
    /// A name without white space at its ends.
    package static func trimmed(_ name: String) -> String {
        var rest = name[...]
        while rest.first.map(isBlank) == true { rest.removeFirst() }
        while rest.last.map(isBlank) == true { rest.removeLast() }
        return String(rest)
    }

    /// The names that differ only by case, spaces, hyphens or forms of letters, grouped; without those that are alone.
    package static func variants(among classes: [String]) -> [[String]] {
        var groups: [String: [String]] = [:]
        for name in classes { groups[folded(name), default: []].append(name) }
        var distinct: Set<[String]> = []
        return classes.compactMap { groups[folded($0)] }.filter { $0.count > 1 && distinct.insert($0).inserted }
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
