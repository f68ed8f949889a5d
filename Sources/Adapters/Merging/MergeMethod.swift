import Files

/// A rule that merges several tasks' deltas of a backbone into one.
///
/// A method is a pure function of the deltas and of typed parameters, in a file of its family under `Methods`;
/// `MergeMethod.all` lists them. Each result is multiplied by `scale` afterwards, which methods do not see.
package struct MergeMethod: Sendable {
    /// What a method merges.
    package struct Inputs: Sendable {
        /// The tasks. Their order does not matter beyond rounding.
        package let tasks: [TaskVector]
        /// What random methods draw from.
        package let seed: UInt64
    }

    /// The factor on the merged delta, which every method has.
    package static let scale = TypedParameter<Double>.number(
        "scale", default: 1, in: -1000...1000, "factor on the merged delta")

    /// The name on the command line and in recipes.
    package let name: String
    /// What it computes, in one line.
    package let formula: String
    /// Where it comes from.
    package let source: String
    /// Whether it reads the moments of the layers' inputs on unlabelled images (`TaskVector.inputMoments`).
    package let usesImages: Bool
    /// Its parameters, `scale` first.
    package let parameters: [MergeParameter]
    private let rule: @Sendable (Inputs, ParameterValues) throws -> [String: WeightDelta]

    /// A method with the function that merges.
    ///
    /// - Parameters:
    ///   - parameters: besides `scale`; the function is given their values in this order.
    ///   - merge: gives the merged deltas by parameter of the backbone. One that no task changes does not appear.
    package init<each Value: Sendable>(
        _ name: String, formula: String, source: String, usesImages: Bool = false,
        parameters: repeat TypedParameter<each Value>,
        merge: @escaping @Sendable (_ inputs: Inputs, repeat each Value) throws -> [String: WeightDelta]
    ) {
        (self.name, self.formula, self.source, self.usesImages) = (name, formula, source, usesImages)
        var all = [Self.scale.parameter]
        for parameter in repeat each parameters { all.append(parameter.parameter) }
        self.parameters = all
        let parameters = (repeat each parameters)
        rule = { inputs, values in try merge(inputs, repeat values[each parameters]) }
    }

    /// Merges at scale 1.
    ///
    /// - Throws: `MergeMethodError` naming an adapter that the method cannot merge; `ComputeError`.
    func merge(
        _ tasks: [TaskVector], _ values: ParameterValues, seed: UInt64
    ) throws -> [String: WeightDelta] {
        try rule(Inputs(tasks: tasks, seed: seed), values)
    }

    /// Every method, the default first.
    package static let all: [MergeMethod] =
        [
            taskArithmetic, average, base, ties, dare, dareTies, knotsTies, knotsDareTies,
            coreSum, coreTies, coreTSV, coreTSVIso, coreIsoC, coreIsoCTS, compressThenMerge, regMean,
        ] + peft

    /// The method of that name, or nil.
    package static func named(_ name: String) -> MergeMethod? { all.first { $0.name == name } }

    /// The method of that name.
    ///
    /// - Parameter others: names that the caller takes besides those of methods, for the error.
    /// - Throws: `UnknownMethod`.
    package static func required(_ name: String, besides others: [String] = []) throws(UnknownMethod) -> MergeMethod {
        guard let method = named(name) else { throw UnknownMethod(name: name, known: all.map(\.name) + others) }
        return method
    }
}

/// A name that no merge method has.
package struct UnknownMethod: Error, Equatable, Sendable, CustomStringConvertible {
    /// The name.
    package let name: String
    /// The names that there are.
    package let known: [String]

    /// The name, what was probably meant, and the names that there are.
    package var description: String {
        let hint = NearestName.suggestion(for: name, among: known).map { " (did you mean \"\($0)\"?)" } ?? ""
        return "\"\(name)\" is not known\(hint); known are \(known.joined(separator: ", "))"
    }
}

/// A method with the values of its parameters and the seed that random ones draw from.
package struct ConfiguredMethod: Sendable {
    /// The method.
    package let method: MergeMethod
    /// The values of its parameters, `scale` among them.
    package let values: ParameterValues
    /// What random methods draw from.
    package let seed: UInt64

    /// A method with the values that are set, and defaults for the rest.
    ///
    /// - Throws: `ParameterError` naming a value that is out of range, or a name that no parameter has.
    package init(
        _ method: MergeMethod, _ given: [String: MergeParameter.Value] = [:], seed: UInt64 = 0
    ) throws(ParameterError) {
        self.init(
            method, try ParameterValues(given, for: method.parameters, of: method.name), seed: seed)
    }

    private init(_ method: MergeMethod, _ values: ParameterValues, seed: UInt64) {
        (self.method, self.values, self.seed) = (method, values, seed)
    }

    /// The factor on the merged delta.
    package var scale: Double { values[MergeMethod.scale] }

    /// The same but for one parameter.
    ///
    /// - Throws: `ParameterError.invalid`.
    package func setting(
        _ parameter: MergeParameter, to value: MergeParameter.Value
    ) throws(ParameterError) -> ConfiguredMethod {
        ConfiguredMethod(method, try values.setting(parameter, to: value), seed: seed)
    }

    /// The merged deltas by parameter of the backbone, at scale 1.
    ///
    /// - Throws: as `MergeMethod.merge`.
    func mergedAtScaleOne(_ tasks: [TaskVector]) throws -> [String: WeightDelta] {
        try method.merge(tasks, values, seed: seed)
    }

    /// The merged deltas by parameter of the backbone.
    ///
    /// - Throws: as `MergeMethod.merge`.
    package func merged(_ tasks: [TaskVector]) throws -> [String: WeightDelta] {
        try mergedAtScaleOne(tasks).mapValues { $0.scaled(by: scale) }
    }
}

extension ConfiguredMethod: Equatable {
    /// Whether both are the same method with the same values and seed.
    package static func == (a: ConfiguredMethod, b: ConfiguredMethod) -> Bool {
        a.method.name == b.method.name && a.values == b.values && a.seed == b.seed
    }
}
