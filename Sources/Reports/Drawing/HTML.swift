/// A fragment of an HTML page.
///
/// Element names are fixed in the program; text and attribute values are always escaped. So no name, path or message
/// from outside can become markup: no initializer takes raw markup. The result is also well-formed XML.
struct HTML: Sendable {
    /// The fragment as markup.
    private(set) var markup: String

    fileprivate init(markup: String) { self.markup = markup }

    /// Nothing.
    static var empty: HTML { HTML(markup: "") }

    /// Text.
    init(_ text: String) { markup = HTML.escaped(text) }

    /// An element with its content.
    ///
    /// - Parameter attributes: attributes whose value is nil are left out.
    static func element(
        _ name: StaticString, _ attributes: KeyValuePairs<StaticString, String?> = [:],
        @HTMLBuilder _ content: () -> HTML
    ) -> HTML {
        HTML(markup: "<\(name)\(HTML.markup(attributes))>\(content().markup)</\(name)>")
    }

    /// A void element, such as an image.
    static func void(
        _ name: StaticString, _ attributes: KeyValuePairs<StaticString, String?> = [:]
    ) -> HTML {
        HTML(markup: "<\(name)\(HTML.markup(attributes))/>")
    }

    /// A style sheet, which must not contain `<` or `&`.
    static func style(_ sheet: StaticString) -> HTML { HTML(markup: "<style>\(sheet)</style>") }

    /// A whole page in UTF-8.
    static func page(_ root: HTML) -> String { "<!DOCTYPE html>\n\(root.markup)\n" }

    /// Appends another fragment.
    mutating func append(_ other: HTML) { markup += other.markup }

    private static func markup(_ attributes: KeyValuePairs<StaticString, String?>) -> String {
        var text = ""
        for (name, value) in attributes {
            if let value { text += " \(name)=\"\(escaped(value))\"" }
        }
        return text
    }

    /// Text escaped for content and for attribute values. Control characters, which neither HTML nor XML allows, become
    /// their symbols (U+2400 ...).
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

/// Concatenates fragments; strings among them are text.
@resultBuilder
enum HTMLBuilder {
    /// Text, escaped.
    static func buildExpression(_ text: String) -> HTML { HTML(text) }

    /// A piece.
    static func buildExpression(_ piece: HTML) -> HTML { piece }

    /// Pieces in their order.
    static func buildBlock(_ pieces: HTML...) -> HTML { buildArray(pieces) }

    /// Pieces of a loop.
    static func buildArray(_ pieces: [HTML]) -> HTML { HTML(markup: pieces.map(\.markup).joined()) }

    /// A piece, or nothing.
    static func buildOptional(_ piece: HTML?) -> HTML { piece ?? .empty }

    /// The first of two pieces.
    static func buildEither(first piece: HTML) -> HTML { piece }

    /// The second of two pieces.
    static func buildEither(second piece: HTML) -> HTML { piece }
}
