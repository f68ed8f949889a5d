import ArgumentParser
import Labelling

/// How many inputs may fail without the command failing.
struct FailureOptions: ParsableArguments {
    @Option(help: "How many inputs may fail with exit code 0: a number, or a part of all such as 2%.")
    var maxFailed = FailureLimit.count(0)

    /// Whether so many failed inputs are few enough.
    func allows(_ failed: Int, of total: Int) -> Bool {
        switch maxFailed {
        case .count(let limit): failed <= limit
        case .percent(let limit): Double(failed) * 100 <= limit * Double(total)
        }
    }
}

/// A number of inputs, or a part of all.
enum FailureLimit: ExpressibleByArgument {
    case count(Int)
    case percent(Double)

    init?(argument: String) {
        if argument.hasSuffix("%") {
            guard let percent = Double(argument.dropLast()), (0...100).contains(percent) else { return nil }
            self = .percent(percent)
        } else {
            guard let count = Int(argument), count >= 0 else { return nil }
            self = .count(count)
        }
    }

    var defaultValueDescription: String {
        switch self {
        case .count(let count): "\(count)"
        case .percent(let percent): "\(percent)%"
        }
    }
}

/// What is said of inputs that have no labels.
enum FailureText {
    /// "9 of 2000 inputs have no label: 7 not PNG or JPEG, 2 damaged; the first: in/b/pic.webp: ...".
    ///
    /// - Parameter hasEndings: whether files are left out by their endings already.
    static func sentence(_ result: LabellingProgress, hasEndings: Bool) -> String {
        let kinds = InputFailure.Kind.allCases.compactMap { kind in
            result.failures.kinds[kind].flatMap { $0 > 0 ? "\($0) \(words(for: kind))" : nil }
        }
        var text = "\(result.failed) of \(result.done) inputs \(result.failed == 1 ? "has" : "have") no label"
        if !kinds.isEmpty { text += ": \(kinds.joined(separator: ", "))" }
        if let first = result.failures.first { text += "; the first: \(first.path): \(first.reason)" }
        if !hasEndings, (result.failures.kinds[.otherFormat] ?? 0) > 0 {
            text += " (--endings jpg,jpeg,png leaves other files of folders and archives out)"
        }
        return text
    }

    private static func words(for kind: InputFailure.Kind) -> String {
        switch kind {
        case .missing: "not there"
        case .unreadable: "not readable"
        case .empty: "empty"
        case .otherFormat: "not PNG or JPEG"
        case .damaged: "damaged"
        case .unsupported: "not supported"
        case .tooLarge: "too large"
        case .wrongSize: "of another size than the model takes"
        case .notFinite: "without a finite answer"
        case .other: "for other reasons"
        }
    }
}
