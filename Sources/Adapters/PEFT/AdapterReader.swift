import Compute
import Tensors
import VisionTransformers

/// Sorts an adapter's tensors into updates, replaced parameters and head, until none is left.
struct AdapterReader {
    private let source: AdapterSource
    private let base: Checkpoint
    private(set) var updates: [String: Adapter.LowRank] = [:]
    private(set) var replaced: [String: Tensor] = [:]
    /// The modules whose starting point is not certain (see `StartingPoint.Part`).
    private(set) var ambiguous: [String] = []
    /// The first tensor of a part of the model that classifiers do not use.
    private(set) var ignored: String?
    private var headParameters: [String: Tensor] = [:]
    /// The only module of a file without a configuration, which is a head whatever its name.
    private let onlyModule: String?

    /// The parts of a module's low-rank update while they are collected.
    private struct Parts {
        var spelling: String
        var a: Tensor?
        var b: Tensor?
        var magnitude: Tensor?
        var biasB: Tensor?
    }

    init(_ source: AdapterSource, base: Checkpoint) throws {
        self.source = source
        self.base = base
        onlyModule =
            source.configuration == nil
            ? HeadFile.onlyLayer(source.weights.entries.map { FileNames.bare($0.name) }) : nil
    }

    private func failure(_ reason: String) -> ModelError { ModelError(source.weights.path, reason) }

    /// Reads every tensor of the file.
    ///
    /// - Throws: the first of the `problems`.
    mutating func read() throws {
        if let first = problems(limit: 1).first { throw first }
    }

    /// Reads every tensor of the file and gives what is wrong, in the order of the file; no more than `limit`.
    mutating func problems(limit: Int) -> [any Error] {
        var problems: [any Error] = []
        var parts: [String: Parts] = [:]
        do { try FileNames.check(source.weights.entries.map(\.name), path: source.weights.path) } catch {
            return [error]
        }
        for entry in source.weights.entries where problems.count < limit {
            do { try place(entry.name, &parts) } catch { problems.append(error) }
        }
        for (module, part) in parts.sorted(by: { $0.key < $1.key }) where problems.count < limit {
            do { try finish(module, part) } catch { problems.append(error) }
        }
        if problems.isEmpty {
            do { try checkTargets() } catch { problems.append(error) }
        }
        return problems
    }

    private func checkTargets() throws {
        guard let configuration = source.configuration else {
            guard updates.isEmpty else { throw failure("low-rank updates without an adapter_config.json") }
            return
        }
        if updates.isEmpty, replaced.isEmpty, !headParameters.isEmpty { return }
        // "all-linear" names the head too, whose update is applied already, or gave way to a whole head.
        let heads = headParameters.keys.filter { $0.hasSuffix(".weight") }.map { String($0.dropLast(".weight".count)) }
        try configuration.targets.check(
            adapted: Set(updates.keys).union(heads), configuration: base.configuration,
            path: source.configurationPath)
    }

    /// Finds out what one tensor is.
    private mutating func place(_ key: String, _ parts: inout [String: Parts]) throws {
        var name = FileNames.bare(key)
        // PEFT keeps the head that was there before training beside the trained one when every bias is saved.
        if name.contains(".original_module.") { return }
        guard !base.names.isIgnored(base.names.withoutPrefix(name)) else {
            ignored = ignored ?? name
            return
        }
        name = name.replacing(".modules_to_save.default.", with: ".").replacing(".modules_to_save.", with: ".")
        for (infix, member) in [
            (".lora_A", \Parts.a), (".lora_B", \Parts.b), (".lora_magnitude_vector", \Parts.magnitude),
        ] {
            for ending in [infix + ".weight", infix + ".default.weight", infix, infix + ".default"]
            where name.hasSuffix(ending) {
                try set(member, of: name.dropLast(ending.count), key, &parts)
                return
            }
        }
        if name.hasSuffix(".lora_B.bias") {
            try set(\.biasB, of: name.dropLast(".lora_B.bias".count), key, &parts)
            return
        }
        try replace(name, key)
    }

    private func set(
        _ member: WritableKeyPath<Parts, Tensor?>, of spelling: Substring, _ key: String, _ parts: inout [String: Parts]
    ) throws {
        let module = HeadNames.module(of: base.names.canonical(String(spelling)))
        var part = parts[module] ?? Parts(spelling: String(spelling))
        guard part[keyPath: member] == nil, part.spelling == spelling else {
            throw failure("tensor \"\(key)\": a second tensor for \(module)")
        }
        part[keyPath: member] = try tensor(key)
        parts[module] = part
    }

    /// A tensor of the file.
    ///
    /// - Throws: `ModelError` naming the file, the tensor and the first element that is not a finite number.
    private func tensor(_ key: String) throws -> Tensor {
        let tensor = try source.weights.tensor(key)
        try tensor.checkFinite(key, path: source.weights.path)
        return tensor
    }

    /// A tensor that stands for a whole parameter: a head's, a trained bias, or a module in `modules_to_save`.
    private mutating func replace(_ name: String, _ key: String) throws {
        let tensor = try tensor(key)
        var parameter = base.names.canonical(name.replacing(".base_layer.", with: "."))
        if let onlyModule, base.shape(parameter) == nil, !ParameterNames.isHead(parameter) {
            parameter = "classifier" + (onlyModule.isEmpty ? ".\(name)" : "\(name.dropFirst(onlyModule.count))")
        }
        if ParameterNames.isHead(parameter) {
            if let other = headParameters[parameter], other != tensor {
                throw failure("tensor \"\(key)\": another value for \(parameter)")
            }
            headParameters[parameter] = tensor
            return
        }
        guard let shape = base.shape(parameter) else {
            throw failure("tensor \"\(key)\" has no place in the base")
        }
        guard source.configuration != nil else { throw failure("tensor \"\(key)\" without an adapter_config.json") }
        guard shape == tensor.shape else {
            throw failure("tensor \"\(key)\": expected shape \(shape) as in the base, found \(tensor.shape)")
        }
        guard replaced.updateValue(tensor, forKey: parameter) == nil else {
            throw failure("tensor \"\(key)\": a second tensor for \(parameter)")
        }
    }

    /// Checks a module's parts against each other, the configuration and the base.
    private mutating func finish(_ module: String, _ part: Parts) throws {
        guard let configuration = source.configuration else {
            throw failure("low-rank update of \(module) without an adapter_config.json")
        }
        guard let a = part.a, let b = part.b else {
            throw failure("\(part.spelling): lora_A and lora_B must both be there")
        }
        guard a.shape.count >= 2, b.shape.count == a.shape.count, a.shape[0] == b.shape[1],
            b.shape.dropFirst(2).allSatisfy({ $0 == 1 })
        else { throw failure("\(part.spelling): lora_A \(a.shape) and lora_B \(b.shape) do not fit together") }
        var rank = configuration.rank(path: part.spelling)
        // A part of a weight has no larger rank than the weight.
        if configuration.start != nil { rank = min(rank, b.shape[0], a.shape.dropFirst().reduce(1, *)) }
        guard a.shape[0] == rank else {
            throw failure("\(part.spelling): rank \(rank) by adapter_config.json, \(a.shape[0]) in lora_A")
        }
        let shape = [b.shape[0]] + a.shape.dropFirst()
        let isHead = ParameterNames.isHead("\(module).weight")
        let expected = isHead ? base.shape("\(module).weight") : try baseShape(module, part.spelling)
        guard expected == shape else {
            throw failure(
                "\(part.spelling): an update of shape \(shape), "
                    + (expected.map { "the base has \($0)" } ?? "the base has no such module"))
        }
        guard (part.magnitude != nil) == configuration.isDoRA else {
            throw failure("\(part.spelling): lora_magnitude_vector and use_dora do not agree")
        }
        for (name, tensor) in [("lora_magnitude_vector", part.magnitude), ("lora_B.bias", part.biasB)] {
            if let tensor, tensor.count != shape[0] {
                throw failure("\(part.spelling).\(name): expected \(shape[0]) elements, found \(tensor.count)")
            }
        }
        let bias = "\(base.names.branches(of: module)?[0] ?? module).bias"
        guard part.biasB == nil || base.hasParameter(bias) else {
            throw failure("\(part.spelling).lora_B.bias: the base has no bias that it could be added to")
        }
        var update = Adapter.LowRank(
            a: a, b: b, scale: configuration.scale(path: part.spelling), magnitude: part.magnitude?.values,
            biasB: part.biasB?.values)
        if let start = configuration.start { update.taken = try taken(start, module, part.spelling, update) }
        if isHead { try adaptHead(module, update) } else { try split(module, update) }
    }

    /// What was taken out of a module's weight before training.
    private mutating func taken(
        _ start: StartingPoint, _ module: String, _ spelling: String, _ update: Adapter.LowRank
    ) throws -> StartingPoint.Part {
        guard update.a.shape.count == 2 else {
            throw failure("\(spelling): \(start.name) is for linear layers, this is a convolution")
        }
        guard update.scale > 0 else {
            throw failure("\(spelling): \(start.name) needs a scale above 0, found \(update.scale)")
        }
        // A fused weight was taken apart as one.
        let weights = try (base.names.branches(of: module) ?? [module]).map {
            Matrix(weight: try base.parameter("\($0).weight"))
        }
        let part = try start.part(of: .stacked(weights), rank: update.a.shape[0], scale: update.scale)
        if part.isAmbiguous { ambiguous.append(module) }
        return part
    }

    private func baseShape(_ module: String, _ spelling: String) throws -> [Int]? {
        guard let branches = base.names.branches(of: module) else { return base.shape("\(module).weight") }
        guard let first = base.shape("\(branches[0]).weight") else { return nil }
        return [first[0] * branches.count] + first.dropFirst()
    }

    /// Stores an update; that of a fused weight becomes one for each branch, which are its rows.
    private mutating func split(_ module: String, _ update: Adapter.LowRank) throws {
        let branches = base.names.branches(of: module) ?? [module]
        let rows = update.b.shape[0] / branches.count
        for (index, branch) in branches.enumerated() {
            var part = update
            if branches.count > 1 {
                let rank = update.a.shape[0]
                let range = index * rows..<(index + 1) * rows
                part.b = Tensor(
                    shape: [rows, rank],
                    values: Array(update.b.values[range.lowerBound * rank..<range.upperBound * rank]))
                part.magnitude = update.magnitude.map { Array($0[range]) }
                if let taken = update.taken { part.taken?.b = taken.b.rows(range) }
                part.biasB = update.biasB.map { Array($0[range]) }
            }
            guard updates.updateValue(part, forKey: branch) == nil else { throw failure("two updates of \(branch)") }
        }
    }

    /// Applies an update of the base's own head, which then is this task's head.
    private mutating func adaptHead(_ module: String, _ update: Adapter.LowRank) throws {
        guard headParameters["\(module).weight"] == nil else {
            throw failure("\(module): both a low-rank update and a whole weight")
        }
        let weight = try base.parameter("\(module).weight")
        headParameters["\(module).weight"] = update.applied(to: weight)
        if base.hasParameter("\(module).bias"), headParameters["\(module).bias"] == nil {
            var bias = try base.parameter("\(module).bias")
            for (index, value) in (update.biasB ?? []).enumerated() {
                bias.values[index] += Float(update.scale * Double(value))
            }
            headParameters["\(module).bias"] = bias
        }
    }
}

extension AdapterReader {
    /// The head of the adapter: the file that the user names, else the one in the adapter's file, else
    /// `head.safetensors` in its folder, else the base's own, as PEFT answers.
    ///
    /// - Parameters:
    ///   - given: a file with the head that the user names, or nil.
    ///   - task: the task's name, which may be that of the head in a file of several.
    /// - Throws: `ModelError` when there is none, it is not linear, or the adapter was saved without the head that it
    ///   was trained with.
    func head(given: String? = nil, task: String = "") throws -> AdapterHead {
        let names =
            try given == nil ? HeadNames.linear(headParameters.mapValues(\.shape), path: source.weights.path) : [:]
        var own = Dictionary(uniqueKeysWithValues: headParameters.map { (names[$0.key] ?? $0.key, $0.value) })
        try addOther(to: &own)
        let hasOwn = own.keys.contains { $0.hasSuffix(".weight") }
        if let given {
            let linear = try HeadFile.linear(given, task: task, base: base)
            return AdapterHead(weight: linear.weight, bias: linear.bias, origin: .file(given), replacesOwn: hasOwn)
        }
        if hasOwn {
            guard
                let linear = try Head.linear(own, configuration: base.configuration, path: source.weights.path)
            else { throw noHead("no classification head: expected \"classifier.weight\"") }
            return AdapterHead(weight: linear.weight, bias: linear.bias, origin: .adapter)
        }
        if let beside = source.headBeside {
            let linear = try HeadFile.linear(beside, task: task, base: base)
            return AdapterHead(weight: linear.weight, bias: linear.bias, origin: .beside(beside))
        }
        guard let configuration = source.configuration else {
            throw noHead("no classification head: expected \"classifier.weight\"")
        }
        if let missing = configuration.savedHead {
            throw noHead(
                "no classification head: modules_to_save names \(missing), for which the file holds no tensors")
        }
        if let several = source.headsOfSeveralTasks {
            throw ModelError(
                source.folder,
                "holds a delta for several tasks, whose heads are in \(several)",
                remedy: AdapterRemedy.giveHead(task: task, path: several))
        }
        guard var head = try base.head(task: task) else {
            throw noHead("no classification head, and the base \(base.folder) has none either")
        }
        if let bias = own["classifier.bias"] {
            guard bias.shape == head.bias.shape else {
                throw failure(
                    "classifier.bias: expected \(head.bias.shape) as the base's own head, found \(bias.shape)")
            }
            head.bias = bias
        }
        return AdapterHead(
            weight: head.weight, bias: head.bias, origin: .base, classes: try base.hasClassNames ? head.classes : nil)
    }

    /// Adds the base's classifier over the other of two tokens where an adapter has trained one of them alone.
    private func addOther(to head: inout [String: Tensor]) throws {
        let roots = ["cls_classifier", "distillation_classifier"]
        let missing = roots.filter { head["\($0).weight"] == nil }
        guard missing.count == 1 else { return }
        for name in ["\(missing[0]).weight", "\(missing[0]).bias"] where base.hasParameter(name) {
            head[name] = try base.parameter(name)
        }
    }

    private func noHead(_ reason: String) -> ModelError {
        ModelError(
            source.weights.path, "\(reason); train with modules_to_save=[\"classifier\"]",
            remedy: AdapterRemedy.giveSavedHead)
    }
}

/// The linear head of an adapter, and where it came from.
struct AdapterHead {
    /// Where a head came from.
    enum Origin: Equatable {
        case adapter
        /// A file in the adapter's folder.
        case beside(String)
        /// A file that the user named.
        case file(String)
        case base
    }

    let weight: Tensor
    let bias: Tensor
    let origin: Origin
    /// The base's names of its classes, if it has any and it is the base's head.
    var classes: [String]?
    /// Whether the adapter has a head of its own, which a file that the user named takes the place of.
    var replacesOwn = false

    /// The file in the adapter's folder that it was read from, beside the adapter's weights.
    var file: String? {
        if case .beside(let path) = origin { path } else { nil }
    }

    /// What a user should know of it.
    func notes(base: Checkpoint) -> [String] {
        if origin == .base {
            let names = (classes ?? []).prefix(3).joined(separator: ", ")
            let shown = names.isEmpty ? "" : ": \(names)\(bias.count > 3 ? ", ..." : "")"
            return ["no head of its own, so the head of \(base.folder) answers (\(bias.count) classes\(shown))"]
        }
        if case .file(let path) = origin, replacesOwn { return ["\(path) takes the place of the adapter's own head"] }
        return []
    }
}
