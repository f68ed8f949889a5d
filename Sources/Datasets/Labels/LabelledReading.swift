package import Files

/// How folders and tables of labelled images are read.
package struct LabelledReading: Sendable, Equatable {
    /// The task that the labels are of: a table that `label` wrote has them in the column of this name.
    package var task: String?
    /// The column of a table with the paths; nil for one of the usual names.
    package var pathColumn: String?
    /// The column of a table with the labels; nil for the task's name or one of the usual names.
    package var labelColumn: String?
    /// The folder that relative paths of a table start at; nil for the table's own, or the current one if not one file
    /// is there.
    package var root: BytePath?
    /// Whether the files that a table names have to be there.
    package var needsFiles = true
    /// The endings, in lower case and without a dot, of the files of folders that are images; nil for all files.
    package var endings: Set<String>?

    /// What separates the labels of a cell where an image may have several; nil where it has one.
    package var labelSeparator: String?
    /// Where images have values rather than labels, for each of them the names that its column may have; empty for
    /// labels.
    var valueColumns: [[String]] = []

    /// Files are looked for, with any ending.
    package init(task: String? = nil) { self.task = task }
}

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
