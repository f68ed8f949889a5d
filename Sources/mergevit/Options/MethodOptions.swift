import Adapters
import ArgumentParser

/// The options that choose a merge method and its parameters.
struct MethodOptions: ParsableArguments {
    @Option(help: .init("METHOD", "Merge method; --list-methods describes them all."))
    var method = MergeMethod.all[0].name

    @Option(parsing: .unconditional, help: .init("S", "Factor on the merged deltas (default: the method's)."))
    var scale: Double?

    @Option(name: .customLong("set"), help: .init("NAME=VALUE", "Parameter of the method; may be repeated."))
    var parameters: [NamedValue] = []

    @Option(help: .init("METHOD", "Method that distillation starts from (default: sum)."))
    var from: TextArgument?

    @Option(help: .init("N", "Number of distillation steps, the same as --set steps=N."))
    var steps: Int?

    @Option(help: .init("N", "Seed of random methods and of distillation."))
    var seed: UInt64 = 0

    @Flag(
        help: """
            Give each task a CLS token of its own, with its own adapter, over the merge's patch tokens; with \
            --calibration, fitted to the single adapters.
            """)
    var streams = false

    @Option(help: .init("N", "Rank of the maps from shared patch tokens to a task's own."))
    var streamRank: Int?

    func validate() throws {
        guard streams || streamRank == nil else { throw ValidationError("--stream-rank needs --streams.") }
        if let streamRank, streamRank < 1 {
            throw ValidationError("--stream-rank must be at least 1, not \(streamRank).")
        }
        _ = try plan()
    }

    /// Whether any of these options is given.
    var isGiven: Bool {
        method != MergeMethod.all[0].name || scale != nil || !parameters.isEmpty || seed != 0 || from != nil
            || steps != nil || streams || streamRank != nil
    }

    /// Whether the number of steps is given.
    var givesSteps: Bool { steps != nil || parameters.value(of: DistillationSettings.stepsParameter.name) != nil }

    /// Whether the scale is given.
    var givesScale: Bool { scale != nil || parameters.value(of: MergeMethod.scale.parameter.name) != nil }

    /// The merge that the options ask for. With `--method distill`, `--set` sets distillation's own parameters, or else
    /// those of the merge that it starts from.
    func plan() throws -> MergePlan {
        var plan = try mergePlan()
        if streams, plan.distillation != nil {
            for name in DistillationSettings.predictionParameters where parameters.value(of: name) != nil {
                throw ValidationError(
                    "--set \(name)=...: with --streams distillation compares patch tokens, no predictions.")
            }
        }
        if streams { plan.streams = StreamSettings(rank: streamRank ?? StreamSettings.defaultRank) }
        return plan
    }

    private func mergePlan() throws -> MergePlan {
        let isDistilled = method == DistillationSettings.name
        guard isDistilled || (from == nil && steps == nil) else {
            throw ValidationError("--from and --steps belong to --method \(DistillationSettings.name).")
        }
        guard isDistilled else {
            let method = try Self.method(method, option: "--method", besides: [DistillationSettings.name])
            let values = try values(of: method.parameters, owner: method.name)
            return MergePlan(
                merge: try refusing { () throws(ParameterError) in
                    try ConfiguredMethod(method, values, seed: seed)
                })
        }
        guard from?.text != DistillationSettings.name else {
            throw ValidationError("--from \(DistillationSettings.name): expected a method that does not train.")
        }
        let start = try Self.method(from?.text ?? MergeMethod.all[0].name, option: "--from")
        let parameters = DistillationSettings.parameters
        let values = try values(
            of: parameters + start.parameters.filter { other in !parameters.contains { $0.name == other.name } },
            owner: "\(DistillationSettings.name) from \(start.name)")
        func isOwn(_ name: String) -> Bool { parameters.contains { $0.name == name } }
        return try refusing { () throws(ParameterError) in
            MergePlan(
                merge: try ConfiguredMethod(start, values.filter { !isOwn($0.key) }, seed: seed),
                distillation: try DistillationSettings(values.filter { isOwn($0.key) }, seed: seed))
        }
    }

    private static func method(_ name: String, option: String, besides others: [String] = []) throws -> MergeMethod {
        do { return try MergeMethod.required(name, besides: others) } catch {
            throw ValidationError("\(option) \(error).")
        }
    }

    /// The values that `--set`, `--scale` and `--steps` give to parameters.
    private func values(of parameters: [MergeParameter], owner: String) throws -> [String: MergeParameter.Value] {
        try NamedValue.check(self.parameters, option: "--set")
        var values: [String: MergeParameter.Value] = [:]
        for item in self.parameters {
            values[item.name] = try refusing { () throws(ParameterError) in
                guard let parameter = parameters.first(where: { $0.name == item.name }) else {
                    throw .unknown(parameter: item.name, method: owner, known: parameters.map(\.name))
                }
                return try parameter.value(item.value.text)
            }
        }
        for (option, parameter, value) in [
            ("--scale", MergeMethod.scale.parameter, scale.map(MergeParameter.Value.number)),
            ("--steps", DistillationSettings.stepsParameter, steps.map(MergeParameter.Value.count)),
        ] {
            guard let value else { continue }
            guard values.updateValue(value, forKey: parameter.name) == nil else {
                throw ValidationError("\(option) and --set \(parameter.name)=... are the same.")
            }
        }
        return values
    }

    /// Gives the errors of parameters as those of the options.
    private func refusing<Result>(_ body: () throws(ParameterError) -> Result) throws -> Result {
        do { return try body() } catch {
            if case .invalid(let name, let expected, let found, let suggestion) = error {
                let option =
                    switch name {
                    case MergeMethod.scale.parameter.name where scale != nil: "--scale \(found)"
                    case DistillationSettings.stepsParameter.name where steps != nil: "--steps \(found)"
                    default: "--set \(name)=\(found)"
                    }
                let hint = suggestion.map { "; did you mean \($0)?" } ?? "."
                throw ValidationError("\(option): expected \(expected)\(hint)")
            }
            throw ValidationError("--set: \(error).")
        }
    }
}
