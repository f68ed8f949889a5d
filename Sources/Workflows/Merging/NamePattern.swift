import Files
import VisionTransformers

/// A regular expression with one capture group, whose text tells which images of a task belong together.
package struct NamePattern: Sendable, Equatable {
    /// The regular expression.
    package let text: String

    /// A pattern.
    ///
    /// - Throws: `NamePatternError`.
    package init(_ text: String) throws(NamePatternError) {
        // With an empty alternative it matches the empty name, which tells how many groups it has.
        guard (try? Regex(text)) != nil, let probe = try? Regex("(?:\(text))|"), let match = "".firstMatch(of: probe)
        else { throw .syntax }
        guard match.output.count == 2 else { throw .captures(match.output.count - 1) }
        self.text = text
    }

    /// The groups of images by their names.
    ///
    /// - Throws: `ModelError` naming an image that the pattern does not match.
    func groups(of names: [String]) throws -> [String] {
        let regex = try Regex(text)
        return try names.map { name in
            guard let text = name.firstMatch(of: regex)?.output[1].substring else {
                throw ModelError(
                    name, "its name does not match the pattern \(text), so it is not known which images it belongs to")
            }
            return String(text)
        }
    }
}

/// Why a text is not a pattern of names.
package enum NamePatternError: Error, Equatable, Sendable, CustomStringConvertible {
    /// It is not a regular expression.
    case syntax
    /// It has this number of capture groups.
    case captures(Int)

    /// What was expected.
    package var description: String {
        switch self {
        case .syntax: "expected a regular expression"
        case .captures(let count): "expected one capture group in parentheses, found \(count)"
        }
    }
}
