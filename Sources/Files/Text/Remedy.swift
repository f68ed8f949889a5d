/// What a user can do about an error or a warning, where that is clear.
///
/// A module declares the remedies of its errors in its own words. Only the command knows options: it adds those that
/// apply the remedy.
package protocol Remedy: Hashable, Sendable {}

/// An error that may know what helps. Its description does not include the remedy.
package protocol ErrorWithRemedy: Error {
    /// What can be done about it; nil if that is not clear.
    var remedy: (any Remedy)? { get }
}

/// Something that a user should know and that prevents nothing.
package struct Warning: Equatable, Sendable, CustomStringConvertible, ExpressibleByStringInterpolation {
    /// One sentence, without the remedy.
    package let text: String
    /// What can be done about it; nil if that is not clear.
    package let remedy: (any Remedy)?

    /// A warning.
    package init(_ text: String, remedy: (any Remedy)? = nil) { (self.text, self.remedy) = (text, remedy) }

    package init(stringLiteral text: String) { self.init(text) }

    /// The same warning with what it is about before it.
    package func about(_ subject: String) -> Warning { Warning("\(subject): \(text)", remedy: remedy) }

    package var description: String { text }

    package static func == (one: Warning, other: Warning) -> Bool {
        one.text == other.text && one.remedy.map { AnyHashable($0) } == other.remedy.map { AnyHashable($0) }
    }
}
