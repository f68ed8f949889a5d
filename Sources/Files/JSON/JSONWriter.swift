extension JSON {
    /// The value as text, ending in a newline when indented: keys in their order, two spaces a level, arrays of plain
    /// values on one line, so that the same value always gives the same bytes.
    package func serialized(indented: Bool = true) -> String {
        var text = ""
        write(to: &text, level: indented ? 0 : nil)
        if indented { text += "\n" }
        return text
    }

    private func write(to text: inout String, level: Int?) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .number(let literal): text += literal
        case .string(let value): JSON.quote(value, into: &text)
        case .array(let elements):
            let nested = elements.contains { $0.arrayValue != nil || $0.objectValue != nil }
            JSON.list(elements.count, "[", "]", level: nested ? level : nil, into: &text) { index, inner, text in
                elements[index].write(to: &text, level: inner)
            }
        case .object(let object):
            let members = object.members
            JSON.list(members.count, "{", "}", level: level, into: &text) { index, inner, text in
                JSON.quote(members[index].key, into: &text)
                text += ": "
                members[index].value.write(to: &text, level: inner)
            }
        }
    }

    private static func list(
        _ count: Int, _ open: String, _ close: String, level: Int?, into text: inout String,
        element: (Int, Int?, inout String) -> Void
    ) {
        text += open
        for index in 0..<count {
            if let level {
                text += index == 0 ? "\n" : ",\n"
                text += String(repeating: "  ", count: level + 1)
            } else if index > 0 {
                text += ", "
            }
            element(index, level.map { $0 + 1 }, &text)
        }
        if let level, count > 0 {
            text += "\n" + String(repeating: "  ", count: level)
        }
        text += close
    }

    /// Appends `value` as a JSON string literal.
    package static func quote(_ value: String, into text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
