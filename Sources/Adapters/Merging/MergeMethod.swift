/// A rule that makes one change of a backbone out of several tasks' changes.
///
/// A method is a pure function in a file of its own under `Methods`; `MergeMethod.all` is the list of them.
package struct MergeMethod: Sendable {
    /// A number that a method can be told.
    package struct Parameter: Sendable {
        /// The name, as in `--set NAME=VALUE` and in recipes.
        package let name: String
        /// What it is when it is not given.
        package let defaultValue: Double
        /// What it may be.
        package let range: ClosedRange<Double>
        /// Whether it has to be more than the range's lower bound.
        package let isAboveLower: Bool
        /// Whether it has to be a whole number.
        package let isWhole: Bool
        /// The values that a search by images tries; none if it is not searched.
        package let candidates: [Double]
        /// What it does, in a few words.
        package let summary: String

        /// A parameter; a real number unless it is said to be whole.
        package init(
            _ name: String, default defaultValue: Double, in range: ClosedRange<Double>, isAboveLower: Bool = false,
            isWhole: Bool = false, candidates: [Double] = [], _ summary: String
        ) {
            self.name = name
            self.defaultValue = defaultValue
            self.range = range
            self.isAboveLower = isAboveLower
            self.isWhole = isWhole
            self.candidates = candidates
            self.summary = summary
        }

        /// What it may be, in words: "a number above 0, up to 1".
        package var rangeDescription: String {
            let (lower, upper) = (Self.text(range.lowerBound), Self.text(range.upperBound))
            return (isWhole ? "a whole number " : "a number ")
                + (isAboveLower ? "above \(lower), up to \(upper)" : "from \(lower) to \(upper)")
        }

        /// What it is when it is not given, as text.
        package var defaultDescription: String { Self.text(defaultValue) }

        /// Whether it may be this.
        package func accepts(_ value: Double) -> Bool {
            range.contains(value) && !(isAboveLower && value == range.lowerBound)
                && (!isWhole || value.rounded() == value)
        }

        private static func text(_ value: Double) -> String {
            Int(exactly: value).map(String.init) ?? "\(value)"
        }
    }

    /// The factor on the merged change, which every method has.
    package static let scale = Parameter("scale", default: 1, in: -1000...1000, "factor on the merged change")

    /// The name on the command line and in recipes.
    package let name: String
    /// What it computes, in one line.
    package let formula: String
    /// Where it comes from.
    package let source: String
    /// What it can be told.
    package let parameters: [Parameter]
    /// Whether it reads what layers see on unlabelled images (`TaskVector.inputMoments`).
    package var usesImages = false
    /// Whether another method's merge is trained further on unlabelled images (see `MergedBackbone.trained`); then `merge` throws.
    package var isTrained = false
    /// Computes the merged changes, by parameter.
    ///
    /// A parameter that no task changes does not appear. The order of the tasks does not matter beyond rounding.
    package let merge: @Sendable (_ tasks: [TaskVector], _ settings: MergeSettings) throws -> [String: WeightDelta]

    /// Every method, the default first.
    package static let all: [MergeMethod] =
        [
            taskArithmetic, average, ties, dare, dareTies, knotsTies, knotsDareTies,
            coreSum, coreTies, coreTSV, coreTSVIso, coreIsoC, coreIsoCTS, compressThenMerge, regMean, distill,
        ] + peft

    /// The method of that name, or nil.
    package static func named(_ name: String) -> MergeMethod? { all.first { $0.name == name } }
}

/// The values of a method's parameters.
package struct MergeSettings: Sendable, Equatable {
    /// By name; all that the method has.
    package let values: [String: Double]
    /// What random methods draw from.
    package let seed: UInt64

    /// Settings for a method: the given values, defaults for the rest.
    ///
    /// - Throws: `SettingError` naming a value that the method does not have or that is out of range.
    package init(_ given: [String: Double] = [:], for method: MergeMethod, seed: UInt64 = 0) throws {
        for (name, value) in given {
            guard let parameter = method.parameters.first(where: { $0.name == name }) else {
                let known = method.parameters.map(\.name).joined(separator: ", ")
                throw SettingError(reason: "\(method.name) has no parameter \"\(name)\"; it has \(known)")
            }
            guard parameter.accepts(value) else {
                throw SettingError(reason: "\(name): expected \(parameter.rangeDescription), found \(value)")
            }
        }
        values = Dictionary(
            uniqueKeysWithValues: method.parameters.map { ($0.name, given[$0.name] ?? $0.defaultValue) })
        self.seed = seed
    }

    private init(values: [String: Double], seed: UInt64) { (self.values, self.seed) = (values, seed) }

    /// The same settings but for one parameter.
    func setting(_ parameter: MergeMethod.Parameter, to value: Double) -> MergeSettings {
        MergeSettings(values: values.merging([parameter.name: value]) { $1 }, seed: seed)
    }

    /// The same settings with the scale that leaves a merge as it is.
    var atScaleOne: MergeSettings { setting(MergeMethod.scale, to: 1) }

    /// The value of a parameter.
    package subscript(name: String) -> Double { values[name] ?? 0 }
}

/// A method with the values of its parameters.
package struct MergeRule: Sendable {
    /// The method.
    package let method: MergeMethod
    /// The values of its parameters.
    package let settings: MergeSettings

    /// A method with the values of its parameters.
    package init(_ method: MergeMethod, _ settings: MergeSettings) { (self.method, self.settings) = (method, settings) }
}

extension MergeRule: Equatable {
    /// Whether both are the same method with the same values.
    package static func == (a: MergeRule, b: MergeRule) -> Bool {
        a.method.name == b.method.name && a.settings == b.settings
    }
}

/// A method's parameter that cannot be what it was given as.
package struct SettingError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The parameter, what was expected and what was found.
    package let reason: String

    /// The reason.
    package var description: String { reason }
}
