/// A rule that makes one change of a backbone out of several tasks' changes.
///
/// A method is a pure function in a file of its own under `Methods`; `MergeMethod.all` is the list of them.
public struct MergeMethod: Sendable {
    /// A number that a method can be told.
    public struct Parameter: Sendable {
        /// The name, as in `--set NAME=VALUE` and in recipes.
        public let name: String
        /// What it is when it is not given.
        public let defaultValue: Double
        /// What it may be.
        public let range: ClosedRange<Double>
        /// Whether it has to be more than the range's lower bound.
        public let isAboveLower: Bool
        /// Whether it has to be a whole number.
        public let isWhole: Bool
        /// The values that a search by images tries; none if it is not searched.
        public let candidates: [Double]
        /// What it does, in a few words.
        public let summary: String

        /// A parameter; a real number unless it is said to be whole.
        public init(
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
        public var rangeDescription: String {
            let (lower, upper) = (Self.text(range.lowerBound), Self.text(range.upperBound))
            return (isWhole ? "a whole number " : "a number ")
                + (isAboveLower ? "above \(lower), up to \(upper)" : "from \(lower) to \(upper)")
        }

        /// What it is when it is not given, as text.
        public var defaultDescription: String { Self.text(defaultValue) }

        /// Whether it may be this.
        public func accepts(_ value: Double) -> Bool {
            range.contains(value) && !(isAboveLower && value == range.lowerBound)
                && (!isWhole || value.rounded() == value)
        }

        private static func text(_ value: Double) -> String {
            Int(exactly: value).map(String.init) ?? "\(value)"
        }
    }

    /// The factor on the merged change, which every method has.
    public static let scale = Parameter("scale", default: 1, in: -1000...1000, "factor on the merged change")

    /// The name on the command line and in recipes.
    public let name: String
    /// What it computes, in one line.
    public let formula: String
    /// Where it comes from.
    public let source: String
    /// What it can be told.
    public let parameters: [Parameter]
    /// Whether it reads what layers see on unlabelled images (`TaskChanges.inputMoments`).
    public var usesImages = false
    /// Whether another method's merge is trained further on unlabelled images (see `MergedBackbone.trained`); then `merge` throws.
    public var isTrained = false
    /// Computes the merged changes, by parameter.
    ///
    /// A parameter that no task changes does not appear. The order of the tasks does not matter beyond rounding.
    public let merge: @Sendable (_ tasks: [TaskChanges], _ settings: MergeSettings) throws -> [String: Change]

    /// Every method, the default first.
    public static let all: [MergeMethod] =
        [
            taskArithmetic, average, ties, dare, dareTies, knotsTies, knotsDareTies,
            coreSum, coreTies, coreTSV, coreTSVIso, coreIsoC, coreIsoCTS, compressThenMerge, regMean, distill,
        ] + peft

    /// The method of that name, or nil.
    public static func named(_ name: String) -> MergeMethod? { all.first { $0.name == name } }
}

/// The values of a method's parameters.
public struct MergeSettings: Sendable, Equatable {
    /// By name; all that the method has.
    public let values: [String: Double]
    /// What random methods draw from.
    public let seed: UInt64

    /// Settings for a method: the given values, defaults for the rest.
    ///
    /// - Throws: `SettingError` naming a value that the method does not have or that is out of range.
    public init(_ given: [String: Double] = [:], for method: MergeMethod, seed: UInt64 = 0) throws {
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
    public subscript(name: String) -> Double { values[name] ?? 0 }
}

/// A method with the values of its parameters.
public struct MergeRule: Sendable {
    /// The method.
    public let method: MergeMethod
    /// The values of its parameters.
    public let settings: MergeSettings

    /// A method with the values of its parameters.
    public init(_ method: MergeMethod, _ settings: MergeSettings) { (self.method, self.settings) = (method, settings) }
}

extension MergeRule: Equatable {
    /// Whether both are the same method with the same values.
    public static func == (a: MergeRule, b: MergeRule) -> Bool {
        a.method.name == b.method.name && a.settings == b.settings
    }
}

/// A method's parameter that cannot be what it was given as.
public struct SettingError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The parameter, what was expected and what was found.
    public let reason: String

    /// The reason.
    public var description: String { reason }
}
