/// A piece of an HTML page that is safe to put anywhere in it.
///
/// It is made of elements, whose names are fixed in the program, and of text and attribute values, which are escaped
/// always. So no name, path or message from outside can become markup: there is no way to make a piece from a string as
/// it is. What it writes is also well-formed XML.
package struct HTML: Sendable {
    /// The piece as markup.
    package private(set) var markup: String

    fileprivate init(markup: String) { self.markup = markup }

    /// Nothing.
    package static var empty: HTML { HTML(markup: "") }

    /// Text.
    package init(_ text: String) { markup = HTML.escaped(text) }

    /// An element with what stands in it.
    ///
    /// - Parameter attributes: an attribute whose value is nil is left out.
    package static func element(
        _ name: StaticString, _ attributes: KeyValuePairs<StaticString, String?> = [:],
        @HTMLBuilder _ content: () -> HTML
    ) -> HTML {
        HTML(markup: "<\(name)\(HTML.markup(attributes))>\(content().markup)</\(name)>")
    }

    /// An element that never holds anything, such as an image.
    package static func void(
        _ name: StaticString, _ attributes: KeyValuePairs<StaticString, String?> = [:]
    ) -> HTML {
        HTML(markup: "<\(name)\(HTML.markup(attributes))/>")
    }

    /// A style sheet, which is part of the program and holds neither `<` nor `&`.
    static func style(_ sheet: StaticString) -> HTML { HTML(markup: "<style>\(sheet)</style>") }

    /// A whole page in UTF-8.
    package static func page(_ root: HTML) -> String { "<!DOCTYPE html>\n\(root.markup)\n" }

    /// One piece after another.
    package mutating func append(_ other: HTML) { markup += other.markup }

    private static func markup(_ attributes: KeyValuePairs<StaticString, String?>) -> String {
        var text = ""
        for (name, value) in attributes {
            if let value { text += " \(name)=\"\(escaped(value))\"" }
        }
        return text
    }

    /// Text as it stands between tags and between the quotes of an attribute. Control characters, which neither HTML
    /// nor XML can hold, are shown as their pictures (U+2400 ...).
    private static func escaped(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result.append(contentsOf: "&amp;".unicodeScalars)
            case "<": result.append(contentsOf: "&lt;".unicodeScalars)
            case ">": result.append(contentsOf: "&gt;".unicodeScalars)
            case "\"": result.append(contentsOf: "&quot;".unicodeScalars)
            case "'": result.append(contentsOf: "&#39;".unicodeScalars)
            case "\n", "\t": result.append(scalar)
            case _ where scalar.value < 0x20: result.append(Unicode.Scalar(0x2400 + scalar.value) ?? "\u{FFFD}")
            case _ where (0x7F...0x9F).contains(scalar.value) || scalar.value & 0xFFFE == 0xFFFE:
                result.append("\u{FFFD}")
            default: result.append(scalar)
            }
        }
        return String(result)
    }
}

/// Puts pieces one after another; strings among them are text.
@resultBuilder
package enum HTMLBuilder {
    /// Text, escaped.
    package static func buildExpression(_ text: String) -> HTML { HTML(text) }

    /// A piece.
    package static func buildExpression(_ piece: HTML) -> HTML { piece }

    /// Pieces in their order.
    package static func buildBlock(_ pieces: HTML...) -> HTML { buildArray(pieces) }

    /// Pieces of a loop.
    package static func buildArray(_ pieces: [HTML]) -> HTML { HTML(markup: pieces.map(\.markup).joined()) }

    /// A piece, or nothing.
    package static func buildOptional(_ piece: HTML?) -> HTML { piece ?? .empty }

    /// The first of two pieces.
    package static func buildEither(first piece: HTML) -> HTML { piece }

    /// The second of two pieces.
    package static func buildEither(second piece: HTML) -> HTML { piece }
}
