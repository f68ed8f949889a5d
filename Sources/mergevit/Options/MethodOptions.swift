import Adapters
import ArgumentParser

/// The options that choose a merge method and its parameters.
struct MethodOptions: ParsableArguments {
    @Option(help: "How changes are merged (--list-methods).")
    var method = MergeMethod.all[0].name

    @Option(parsing: .unconditional, help: "The factor on the merged change (default: the method's).")
    var scale: Double?

    @Option(name: .customLong("set"), help: "A parameter of the method, as NAME=VALUE; may be repeated.")
    var parameters: [NamedValue] = []

    @Option(help: "With --method distill: the method of the merge that training starts from (default: sum).")
    var from: String?

    @Option(help: "With --method distill: how many steps are taken, as --set steps=N.")
    var steps: Int?

    @Option(help: "What random methods draw from.")
    var seed: UInt64 = 0

    /// A method with its parameters, and for a method that trains, the merge that it starts from.
    struct Choice {
        let rule: MergeRule
        let start: MergeRule?
        /// Whether the start's scale is to be chosen because none was given.
        let choosesScale: Bool
        /// Whether the scale, and more, is to be chosen because that was asked for.
        var isTuned = false

        /// Whether the merge needs images.
        var usesImages: Bool { rule.method.usesImages || start?.method.usesImages == true }
    }

    func validate() throws { _ = try chosen() }

    /// Whether any of these options is given.
    var isGiven: Bool {
        method != MergeMethod.all[0].name || scale != nil || !parameters.isEmpty || seed != 0 || from != nil
            || steps != nil
    }

    /// Whether the number of steps is given.
    var stepsAreGiven: Bool { steps != nil || parameters.value(of: "steps") != nil }

    /// What is chosen. `--set` and `--scale` tell a method that trains what parameters of its own are, and else what those
    /// of the merge that it starts from are.
    func chosen() throws -> Choice {
        let method = try Self.method(method, option: "--method")
        let values = try values()
        guard method.isTrained else {
            guard from == nil, steps == nil else {
                throw ValidationError("--from and --steps belong to --method \(MergeMethod.distill.name).")
            }
            return Choice(rule: try rule(method, values), start: nil, choosesScale: false)
        }
        let first = try Self.method(from ?? MergeMethod.all[0].name, option: "--from")
        guard !first.isTrained else {
            throw ValidationError("--from \(first.name): expected a method that does not train.")
        }
        let own = Set(method.parameters.map(\.name))
        return Choice(
            rule: try rule(method, values.filter { own.contains($0.key) }),
            start: try rule(first, values.filter { !own.contains($0.key) }),
            choosesScale: values[MergeMethod.scale.name] == nil)
    }

    private static func method(_ name: String, option: String) throws -> MergeMethod {
        guard let method = MergeMethod.named(name) else {
            let known = MergeMethod.all.map(\.name).joined(separator: ", ")
            throw ValidationError("\(option) \"\(name)\" is not known; known are \(known).")
        }
        return method
    }

    private func rule(_ method: MergeMethod, _ values: [String: Double]) throws -> MergeRule {
        do { return MergeRule(method, try MergeSettings(values, for: method, seed: seed)) } catch {
            throw ValidationError("\(error)")
        }
    }

    /// The values that are given.
    private func values() throws -> [String: Double] {
        if let scale, !scale.isFinite { throw ValidationError("--scale must be a finite number, not \(scale).") }
        try NamedValue.check(parameters, option: "--set")
        var values: [String: Double] = [:]
        for item in parameters {
            guard let value = Double(item.value), value.isFinite else {
                throw ValidationError("--set \(item.name)=\(item.value): expected a finite number.")
            }
            values[item.name] = value
        }
        for (option, name, given) in [("--scale", "scale", scale), ("--steps", "steps", steps.map(Double.init))] {
            guard let given else { continue }
            guard values.updateValue(given, forKey: name) == nil else {
                throw ValidationError("\(option) and --set \(name)=... are the same.")
            }
        }
        return values
    }
}
