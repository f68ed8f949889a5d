import ArgumentParser
import Files
import VisionTransformers

/// The type of an option whose value is checked as it is parsed, with a reason when it is refused.
///
/// `ExpressibleByArgument` gives no reason, and its `String` takes bytes that are not UTF-8 in the disguise of
/// `RawArguments`. So every option that takes free text has one of these types, and none is a `String`.
protocol CheckedArgument: Sendable {
    /// Parses a value.
    ///
    /// - Throws: `ValidationError` with the reason, which follows "The value '...' is invalid for '--option'".
    init(argument: String) throws

    /// How a shell completes it.
    static var completion: CompletionKind { get }
}

/// A name, or a path that is used as text; it must be UTF-8.
struct TextArgument: CheckedArgument {
    let text: String

    init(argument: String) throws {
        guard RawArguments.bytes(of: argument) == Array(argument.utf8) else {
            throw ValidationError("it must be UTF-8")
        }
        text = argument
    }

    static var completion: CompletionKind { .file() }
}

/// A path in bytes, which need not be UTF-8.
struct PathArgument: CheckedArgument {
    let path: BytePath

    init(argument: String) { path = RawArguments.path(argument) }

    static var completion: CompletionKind { .file() }
}

/// A finite number.
struct FiniteNumber: CheckedArgument {
    let value: Double

    init(argument: String) throws {
        guard let value = Double(argument), value.isFinite else { throw ValidationError("expected a finite number") }
        self.value = value
    }

    static var completion: CompletionKind { .default }
}

/// A number from 0 to 1.
struct FractionArgument: CheckedArgument {
    let value: Double

    init(argument: String) throws {
        guard let value = Double(argument), (0...1).contains(value) else {
            throw ValidationError("expected a number from 0 to 1")
        }
        self.value = value
    }

    static var completion: CompletionKind { .default }
}

extension HeadActivation: CheckedArgument {
    init(argument: String) throws {
        guard let activation = HeadActivation(rawValue: argument) else {
            throw ValidationError("expected one of \(HeadActivation.names)")
        }
        self = activation
    }

    static var completion: CompletionKind { .list(allCases.map(\.rawValue)) }
}

/// A value for a task, an adapter or a parameter, as NAME=VALUE.
struct Named<Value: CheckedArgument>: CheckedArgument {
    let name: String
    let value: Value

    init(argument: String) throws {
        guard let sign = argument.firstIndex(of: "="), sign != argument.startIndex,
            argument.index(after: sign) != argument.endIndex
        else { throw ValidationError("expected NAME=VALUE") }
        name = try TextArgument(argument: String(argument[..<sign])).text
        value = try Value(argument: String(argument[argument.index(after: sign)...]))
    }

    static var completion: CompletionKind { .file() }
}

/// A text for a name.
typealias NamedValue = Named<TextArgument>

extension Named {
    /// Checks that no name is given twice, and that all are among those of another option if those are given.
    static func check(
        _ values: [Self], option: String, among names: [String]? = nil, of other: String = "--adapter"
    ) throws {
        var checked: Set<String> = []
        for value in values {
            guard checked.insert(value.name).inserted else {
                throw ValidationError("\(option) \(value.name)=... is given twice.")
            }
            if let names, !names.contains(value.name) {
                throw ValidationError(
                    "\(option) \(value.name)=...: there is no \(other) of that name"
                        + (names.isEmpty ? "." : "; there are \(names.joined(separator: ", "))."))
            }
        }
    }
}

extension [NamedValue] {
    /// The text given for a name, or nil.
    func value(of name: String) -> String? { first { $0.name == name }?.value.text }
}

extension [Named<PathArgument>] {
    /// The path given for a name, or nil.
    func path(of name: String) -> BytePath? { first { $0.name == name }?.value.path }
}

extension [Named<HeadActivation>] {
    /// The activation given for a name, or nil.
    func activation(of name: String) -> HeadActivation? { first { $0.name == name }?.value }
}

/// Checks that the value of an option, if there is one, lies in a range.
func check<Number: Comparable>(_ option: String, _ value: Number?, in range: ClosedRange<Number>) throws {
    guard let value, !range.contains(value) else { return }
    throw ValidationError("\(option) must be from \(range.lowerBound) to \(range.upperBound), not \(value).")
}

// MARK: Property wrappers

extension Option where Value: CheckedArgument {
    init(name: NameSpecification = .long, help: ArgumentHelp) {
        self.init(name: name, help: help, completion: Value.completion, transform: { try Value(argument: $0) })
    }
}

extension Option {
    init<Checked: CheckedArgument>(name: NameSpecification = .long, help: ArgumentHelp) where Value == Checked? {
        self.init(name: name, help: help, completion: Checked.completion, transform: { try Checked(argument: $0) })
    }

    init<Checked: CheckedArgument>(
        wrappedValue: [Checked], name: NameSpecification = .long, parsing: ArrayParsingStrategy = .singleValue,
        help: ArgumentHelp
    ) where Value == [Checked] {
        self.init(
            wrappedValue: wrappedValue, name: name, parsing: parsing, help: help, completion: Checked.completion,
            transform: { try Checked(argument: $0) })
    }

    init<Checked: CheckedArgument>(
        name: NameSpecification = .long, parsing: ArrayParsingStrategy = .singleValue, help: ArgumentHelp
    ) where Value == [Checked] {
        self.init(
            name: name, parsing: parsing, help: help, completion: Checked.completion,
            transform: { try Checked(argument: $0) })
    }
}

extension Argument where Value: CheckedArgument {
    init(help: ArgumentHelp) {
        self.init(help: help, completion: Value.completion, transform: { try Value(argument: $0) })
    }
}

extension Argument {
    init<Checked: CheckedArgument>(help: ArgumentHelp) where Value == Checked? {
        self.init(help: help, completion: Checked.completion, transform: { try Checked(argument: $0) })
    }

    init<Checked: CheckedArgument>(help: ArgumentHelp) where Value == [Checked] {
        self.init(help: help, completion: Checked.completion, transform: { try Checked(argument: $0) })
    }

    init<Checked: CheckedArgument>(wrappedValue: [Checked], help: ArgumentHelp) where Value == [Checked] {
        self.init(
            wrappedValue: wrappedValue, help: help, completion: Checked.completion,
            transform: { try Checked(argument: $0) })
    }
}

extension ArgumentHelp {
    /// Help with the placeholder that says what the value is.
    init(_ placeholder: String, _ text: String) { self.init(text, valueName: placeholder) }
}
