import Files

/// A parameter of a merge method or of distillation: what it is called, which values it takes, and its default.
package struct MergeParameter: Sendable {
    /// The values that a parameter takes.
    package enum Kind: Sendable, Equatable {
        /// A real number in a range, whose lower bound may be excluded.
        case number(in: ClosedRange<Double>, isAboveLower: Bool = false)
        /// A whole number in a range.
        case count(in: ClosedRange<Int>)
        /// One of several names.
        case choice([String])
        /// Yes or no.
        case flag
    }

    /// A value of a parameter, in the type of its kind.
    package enum Value: Sendable, Equatable {
        /// Of `Kind.number`.
        case number(Double)
        /// Of `Kind.count`.
        case count(Int)
        /// Of `Kind.choice`.
        case choice(String)
        /// Of `Kind.flag`.
        case flag(Bool)
    }

    /// What a parameter is when it is not set.
    package enum Default: Sendable, Equatable {
        /// A value.
        case value(Value)
        /// No value; the words say what happens then, such as "the largest rank of the adapters".
        case none(String)
    }

    /// The name, for users and in recipes.
    package let name: String
    /// The values that it takes.
    package let kind: Kind
    /// What it is when it is not set.
    package let defaultValue: Default
    /// The values that a search by images tries; none if it is not searched.
    package let candidates: [Value]
    /// What it does, in a few words.
    package let summary: String
    /// The number that meant "no value" in recipes of version 1, if it has no default value.
    let absentInVersion1: Double?

    /// The values that it takes, in words: "a number above 0, up to 1".
    package var kindDescription: String {
        switch kind {
        case .number(let range, let isAboveLower):
            let (lower, upper) = (Value.number(range.lowerBound), Value.number(range.upperBound))
            return "a number " + (isAboveLower ? "above \(lower), up to \(upper)" : "from \(lower) to \(upper)")
        case .count(let range): return "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .choice(let names): return names.joined(separator: " or ")
        case .flag: return "yes or no"
        }
    }

    /// What it is when it is not set, in words.
    package var defaultDescription: String {
        switch defaultValue {
        case .value(let value): "\(value)"
        case .none(let words): words
        }
    }

    /// The value that a user's text stands for.
    ///
    /// - Throws: `ParameterError.invalid`.
    package func value(_ text: String) throws(ParameterError) -> Value {
        let value: Value? =
            switch kind {
            case .number: Double(text).map(Value.number)
            case .count: Int(text).map(Value.count)
            case .choice: .choice(text)
            case .flag: ["yes": true, "true": true, "no": false, "false": false][text.lowercased()].map(Value.flag)
            }
        guard let value else { throw invalid(text) }
        return try checked(value)
    }

    /// A value of this parameter's kind; a whole number can be a number.
    ///
    /// - Throws: `ParameterError.invalid` for a value of another kind or out of range.
    func checked(_ value: Value) throws(ParameterError) -> Value {
        switch (kind, value) {
        case (.number(let range, let isAboveLower), .number(let number))
        where range.contains(number) && !(isAboveLower && number == range.lowerBound):
            return value
        case (.number, .count(let count)): return try checked(.number(Double(count)))
        case (.count(let range), .count(let count)) where range.contains(count): return value
        case (.choice(let names), .choice(let name)) where names.contains(name): return value
        case (.flag, .flag): return value
        case (_, .number(let number)): throw invalid("\(number)")
        default: throw invalid("\(value)")
        }
    }

    /// The error of a value that this parameter does not take.
    func invalid(_ found: String) -> ParameterError {
        var expected = kindDescription
        if case .none(let words) = defaultValue { expected += ", or nothing for \(words)" }
        var suggestion: String?
        if case .choice(let names) = kind { suggestion = NearestName.suggestion(for: found, among: names) }
        return .invalid(parameter: name, expected: expected, found: found, suggestion: suggestion)
    }
}

extension MergeParameter.Value: CustomStringConvertible, ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByStringLiteral
{
    /// The value as text, from which it can be read again.
    package var description: String {
        switch self {
        case .number(let number): Int(exactly: number).map(String.init) ?? "\(number)"
        case .count(let count): "\(count)"
        case .choice(let name): name
        case .flag(let isSet): isSet ? "yes" : "no"
        }
    }

    /// A number.
    package init(floatLiteral value: Double) { self = .number(value) }
    /// A count, which can be a number.
    package init(integerLiteral value: Int) { self = .count(value) }
    /// A flag.
    package init(booleanLiteral value: Bool) { self = .flag(value) }
    /// A choice.
    package init(stringLiteral value: String) { self = .choice(value) }
}

/// A parameter whose value is read in a type of Swift; code names parameters by these, never by their names.
package struct TypedParameter<Value: Sendable>: Sendable {
    /// The parameter.
    package let parameter: MergeParameter
    /// The Swift value of a set value, or of none.
    fileprivate let convert: @Sendable (MergeParameter.Value?) -> Value
}

extension TypedParameter where Value == Double {
    /// A real number.
    package static func number(
        _ name: String, default value: Double, in range: ClosedRange<Double>, isAboveLower: Bool = false,
        candidates: [Double] = [], _ summary: String
    ) -> Self {
        let parameter = MergeParameter(
            name: name, kind: .number(in: range, isAboveLower: isAboveLower), defaultValue: .value(.number(value)),
            candidates: candidates.map { .number($0) }, summary: summary, absentInVersion1: nil)
        return Self(parameter: parameter) { if case .number(let number)? = $0 { number } else { value } }
    }
}

extension TypedParameter where Value == Double? {
    /// A real number that may be left out.
    package static func number(
        _ name: String, unlessSet words: String, in range: ClosedRange<Double>, isAboveLower: Bool = false,
        absentInVersion1: Double, _ summary: String
    ) -> Self {
        let parameter = MergeParameter(
            name: name, kind: .number(in: range, isAboveLower: isAboveLower), defaultValue: .none(words),
            candidates: [], summary: summary, absentInVersion1: absentInVersion1)
        return Self(parameter: parameter) { if case .number(let number)? = $0 { number } else { nil } }
    }
}

extension TypedParameter where Value == Int {
    /// A whole number.
    package static func count(
        _ name: String, default value: Int, in range: ClosedRange<Int>, _ summary: String
    ) -> Self {
        let parameter = MergeParameter(
            name: name, kind: .count(in: range), defaultValue: .value(.count(value)), candidates: [],
            summary: summary, absentInVersion1: nil)
        return Self(parameter: parameter) { if case .count(let count)? = $0 { count } else { value } }
    }
}

extension TypedParameter where Value == Int? {
    /// A whole number that may be left out.
    package static func count(
        _ name: String, unlessSet words: String, in range: ClosedRange<Int>, absentInVersion1: Int, _ summary: String
    ) -> Self {
        let parameter = MergeParameter(
            name: name, kind: .count(in: range), defaultValue: .none(words), candidates: [], summary: summary,
            absentInVersion1: Double(absentInVersion1))
        return Self(parameter: parameter) { if case .count(let count)? = $0 { count } else { nil } }
    }
}

extension TypedParameter where Value == Bool {
    /// Yes or no.
    package static func flag(_ name: String, default value: Bool, _ summary: String) -> Self {
        let parameter = MergeParameter(
            name: name, kind: .flag, defaultValue: .value(.flag(value)), candidates: [], summary: summary,
            absentInVersion1: nil)
        return Self(parameter: parameter) { if case .flag(let isSet)? = $0 { isSet } else { value } }
    }
}

extension TypedParameter where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One of the cases. Recipes of version 1 counted them from 0 in their order.
    package static func choice(_ name: String, default value: Value, _ summary: String) -> Self {
        let parameter = MergeParameter(
            name: name, kind: .choice(Value.allCases.map(\.rawValue)), defaultValue: .value(.choice(value.rawValue)),
            candidates: [], summary: summary, absentInVersion1: nil)
        return Self(parameter: parameter) { set in
            if case .choice(let name)? = set { Value(rawValue: name) ?? value } else { value }
        }
    }
}

/// The values of some parameters: those that are set, defaults for the rest.
package struct ParameterValues: Sendable, Equatable {
    /// By name; a parameter without a value is left out.
    private let values: [String: MergeParameter.Value]

    /// The values that are set, and defaults for the rest of the parameters.
    ///
    /// - Parameter owner: the method that has the parameters, for errors.
    /// - Throws: `ParameterError` naming a value that is out of range, or a name that no parameter has.
    package init(
        _ given: [String: MergeParameter.Value] = [:], for parameters: [MergeParameter], of owner: String
    ) throws(ParameterError) {
        var values: [String: MergeParameter.Value] = [:]
        for parameter in parameters {
            if case .value(let value) = parameter.defaultValue { values[parameter.name] = value }
        }
        for (name, value) in given.sorted(by: { $0.key < $1.key }) {
            guard let parameter = parameters.first(where: { $0.name == name }) else {
                throw .unknown(parameter: name, method: owner, known: parameters.map(\.name))
            }
            values[name] = try parameter.checked(value)
        }
        self.values = values
    }

    private init(values: [String: MergeParameter.Value]) { self.values = values }

    /// The value of a parameter.
    package subscript<Value>(_ parameter: TypedParameter<Value>) -> Value {
        parameter.convert(values[parameter.parameter.name])
    }

    /// The value of a parameter, or nil where it has none.
    package subscript(_ parameter: MergeParameter) -> MergeParameter.Value? { values[parameter.name] }

    /// The same values but for one.
    ///
    /// - Throws: `ParameterError.invalid`.
    func setting(_ parameter: MergeParameter, to value: MergeParameter.Value) throws(ParameterError) -> Self {
        ParameterValues(values: values.merging([parameter.name: try parameter.checked(value)]) { $1 })
    }
}

/// A parameter or a value that a method does not have.
package enum ParameterError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The method has no parameter of that name; it has those that are known.
    case unknown(parameter: String, method: String, known: [String])
    /// The parameter does not take the value.
    case invalid(parameter: String, expected: String, found: String, suggestion: String? = nil)

    /// The parameter, what was expected, what was found, and what was probably meant.
    package var description: String {
        switch self {
        case .unknown(let name, let method, let known):
            let hint = NearestName.suggestion(for: name, among: known).map { " (did you mean \"\($0)\"?)" } ?? ""
            return "\(method) has no parameter \"\(name)\"\(hint); it has \(known.joined(separator: ", "))"
        case .invalid(let name, let expected, let found, let suggestion):
            let hint = suggestion.map { "; did you mean \($0)?" } ?? ""
            return "\(name): expected \(expected), found \(found.isEmpty ? "nothing" : found)\(hint)"
        }
    }
}

/// Why a method cannot merge these adapters.
package struct MergeMethodError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The method, the parameter or task, and what is wrong with it.
    package let reason: String

    /// The reason.
    package var description: String { reason }
}
