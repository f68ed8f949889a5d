package import VisionTransformers

/// The modules of a backbone that get a LoRA adapter, as users name them.
package struct LoRATargets: Sendable, Equatable {
    /// The targets as given.
    package let text: String
    /// The layers as given.
    package let layerText: String?

    private let targets: [String]
    private let layers: [ClosedRange<Int>]?

    /// The modules by users' names.
    private static let modules: [(name: String, module: String)] = [
        ("query", "attention.q_proj"), ("key", "attention.k_proj"), ("value", "attention.v_proj"),
        ("output", "attention.o_proj"), ("fc1", "mlp.fc1"), ("fc2", "mlp.fc2"), ("gate", "mlp.gate_proj"),
        ("up", "mlp.up_proj"), ("down", "mlp.down_proj"),
    ]

    /// Names of groups of modules.
    private static let groups: [(name: String, prefixes: [String])] = [
        ("attention", ["attention."]), ("mlp", ["mlp."]), ("all-linear", ["attention.", "mlp."]),
    ]

    /// The targets from text.
    ///
    /// - Parameters:
    ///   - targets: names separated by commas: query, key, value, output, fc1, fc2, gate, up, down; attention, mlp,
    ///     all-linear.
    ///   - layers: numbers and ranges from 0, such as `0-5,8`; nil for all.
    /// - Throws: `LoRATargetsError` naming the invalid target or layer.
    package init(_ targets: String, layers: String? = nil) throws(LoRATargetsError) {
        (text, layerText) = (targets, layers)
        let known = Self.modules.map(\.name) + Self.groups.map(\.name)
        self.targets = targets.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        for target in self.targets where !known.contains(target) {
            throw .targets("\"\(target)\" is not one of \(known.joined(separator: ", "))")
        }
        guard let layers else {
            self.layers = nil
            return
        }
        var ranges: [ClosedRange<Int>] = []
        for part in layers.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first <= last
            else {
                throw .layers("\"\(part)\" is not a number or a range such as 0-5")
            }
            ranges.append(first...last)
        }
        self.layers = ranges
    }

    /// The canonical names of the modules in a backbone, in the order of its layers.
    ///
    /// - Throws: `LoRATargetsError` when the backbone has no such module or layer.
    package func modules(of configuration: BackboneConfiguration) throws(LoRATargetsError) -> [String] {
        for range in layers ?? [] where range.upperBound >= configuration.layers {
            throw .layers("the base has layers 0 to \(configuration.layers - 1), not \(range.upperBound)")
        }
        let names = configuration.parameterShapes.compactMap { name, shape in
            shape.count == 2 && name.hasSuffix(".weight") ? String(name.dropLast(".weight".count)) : nil
        }
        func own(_ name: String) -> String {
            String(name.split(separator: ".", maxSplits: 2).last ?? "")
        }
        var chosen: Set<String> = []
        for target in targets {
            let prefixes =
                Self.groups.first { $0.name == target }?.prefixes
                ?? Self.modules.filter { $0.name == target }.map(\.module)
            let found = names.filter { name in
                ParameterNames.layer(of: name) != nil && prefixes.contains { own(name).hasPrefix($0) }
            }
            guard !found.isEmpty else {
                let there = Self.modules.filter { known in names.contains { own($0) == known.module } }.map(\.name)
                throw .targets("the base has no \"\(target)\"; it has \(there.joined(separator: ", "))")
            }
            chosen.formUnion(found)
        }
        return names.filter { name in
            guard chosen.contains(name), let layer = ParameterNames.layer(of: name) else { return false }
            return layers?.contains { $0.contains(layer) } ?? true
        }
    }
}

/// Modules or layers to adapt that do not exist.
package enum LoRATargetsError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A module, and the modules that exist.
    case targets(String)
    /// A layer, and the layers that exist.
    case layers(String)

    /// What is wrong.
    package var description: String {
        switch self {
        case .targets(let reason), .layers(let reason): reason
        }
    }
}
