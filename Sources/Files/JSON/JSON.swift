/// A JSON value that keeps what was written: the order of keys and the digits of numbers.
///
/// Checkpoints, adapters and bundles are described by JSON that comes from strangers, so the parser
/// (`JSON.init(parsing:)`) is strict: duplicate keys, deep nesting and anything outside RFC 8259 are errors.
package indirect enum JSON: Sendable, Equatable, ExpressibleByStringLiteral {
    case null
    case bool(Bool)
    /// A number as its literal, so that `1e-12` survives a round trip.
    case number(String)
    case string(String)
    case array([JSON])
    case object(JSONObject)

    /// A string.
    package init(stringLiteral value: String) { self = .string(value) }

    /// A number from an integer.
    package static func int(_ value: Int) -> JSON { .number(String(value)) }

    /// A number from a finite floating-point value, in the shortest form that reads back the same.
    package static func double(_ value: Double) -> JSON { .number("\(value)") }

    /// The value as an integer, or nil if it is not a number without fraction that fits.
    package var intValue: Int? {
        guard case .number(let literal) = self else { return nil }
        if let exact = Int(literal) { return exact }
        guard let real = Double(literal), real.rounded() == real, abs(real) < 9e15 else { return nil }
        return Int(real)
    }

    /// The value as a double, or nil if it is not a number.
    package var doubleValue: Double? {
        guard case .number(let literal) = self else { return nil }
        return Double(literal)
    }

    /// The value as a string, or nil.
    package var stringValue: String? {
        guard case .string(let value) = self else { return nil }
        return value
    }

    /// The value as a Boolean, or nil.
    package var boolValue: Bool? {
        guard case .bool(let value) = self else { return nil }
        return value
    }

    /// The value as an array, or nil.
    package var arrayValue: [JSON]? {
        guard case .array(let value) = self else { return nil }
        return value
    }

    /// The value as an object, or nil.
    package var objectValue: JSONObject? {
        guard case .object(let value) = self else { return nil }
        return value
    }

    /// What kind of value this is, for error messages: "a string", "an array" and so on.
    package var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a Boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// A JSON object: unique keys in the order they were written.
package struct JSONObject: Sendable, Equatable, ExpressibleByDictionaryLiteral {
    /// The keys in their order.
    package private(set) var keys: [String] = []
    private var values: [String: JSON] = [:]

    /// An object without members.
    package init() {}

    /// An object with the given members; of a repeated key the last value stays.
    package init(dictionaryLiteral elements: (String, JSON)...) {
        for (key, value) in elements { self[key] = value }
    }

    /// The value of a key; setting nil removes the member, setting a new key appends it.
    package subscript(key: String) -> JSON? {
        get { values[key] }
        set {
            if let newValue {
                if values.updateValue(newValue, forKey: key) == nil { keys.append(key) }
            } else if values.removeValue(forKey: key) != nil {
                keys.removeAll { $0 == key }
            }
        }
    }

    /// The members in order.
    package var members: [(key: String, value: JSON)] {
        keys.map { (key: $0, value: values[$0] ?? .null) }
    }
}
