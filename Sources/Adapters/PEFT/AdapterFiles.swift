import Files
import Tensors
import VisionTransformers

/// Writes the files of a PEFT folder: `adapter_config.json`, `adapter_model.safetensors` and, with a head,
/// `labels.json`.
struct AdapterFiles {
    let base: Checkpoint
    let names: ModuleNames

    /// Writes the files.
    ///
    /// - Parameters:
    ///   - modules: the low-rank updates by the canonical names of their modules: A (r, inputs), B (outputs, r).
    ///   - scaling: how B·A is scaled.
    ///   - head: the head that goes into `modules_to_save`; a class of transformers has to read what it reads.
    ///   - target: the folder.
    /// - Throws: `FileError`, `ModelError` when the disk refuses.
    func write(
        _ modules: [(module: String, a: Tensor, b: Tensor)], scaling: AdapterScaling, head: Head?,
        to target: AtomicFolder
    ) throws {
        let written = written(modules, scaling)
        var tensors: [(name: String, tensor: Tensor)] = []
        for module in written {
            tensors.append(("base_model.model.\(module.path).lora_A.weight", module.a))
            tensors.append(("base_model.model.\(module.path).lora_B.weight", module.b))
        }
        let classifier = head.flatMap { TransformersClassifier($0, configuration: base.configuration) }
        tensors += (classifier?.parameters ?? []).map {
            ("base_model.model.\(base.names.headPath($0.name, isOld: names == .transformers4))", $0.tensor)
        }
        try writeSafetensors(tensors, to: target.path("adapter_model.safetensors"))
        let configuration = AdapterConfigurationWriter(base: base, names: names)
            .json(written.map { ($0.path, $0.a.shape[0], $0.alpha) }, scaling: scaling, head: classifier)
        try target.write("adapter_config.json", configuration.serialized())
        if let head { try target.write("labels.json", Self.labels(head, base: base).serialized()) }
    }

    /// A module as the library has it, with its α.
    private struct Written {
        let path: String
        var a, b: Tensor
        var alpha: Double
    }

    /// The modules under the library's paths. Those that it has as one, such as timm's `qkv`, become one update of as
    /// many ranks: A one above the other, B with zeros in the rows of others; α keeps the scale.
    private func written(
        _ modules: [(module: String, a: Tensor, b: Tensor)], _ scaling: AdapterScaling
    ) -> [Written] {
        /// What α is multiplied by when the rank is.
        func growth(_ factor: Double) -> Double { scaling.isRankStabilized ? factor.squareRoot() : factor }
        var written: [Written] = []
        var joined: [String: [(position: Int, count: Int, a: Tensor, b: Tensor)]] = [:]
        for module in modules {
            let path = names.path(of: module.module, in: base)
            let rank = module.a.shape[0]
            guard let branches = names.branches(of: module.module, in: base) else {
                written.append(Written(path: path, a: module.a, b: module.b, alpha: scaling.alpha ?? Double(rank)))
                continue
            }
            let position = branches.firstIndex(of: module.module) ?? 0
            if joined[path] == nil {
                written.append(Written(path: path, a: module.a, b: module.b, alpha: scaling.alpha ?? Double(rank)))
            }
            joined[path, default: []].append((position, branches.count, module.a, module.b))
        }
        for index in written.indices {
            guard let parts = joined[written[index].path] else { continue }
            let count = parts[0].count
            let (inputs, outputs) = (parts[0].a.shape[1], parts[0].b.shape[0])
            let rank = parts.reduce(0) { $0 + $1.a.shape[0] }
            var b = Tensor(shape: [count * outputs, rank])
            var column = 0
            for part in parts {
                let own = part.a.shape[0]
                for row in 0..<outputs {
                    for number in 0..<own {
                        b.values[(part.position * outputs + row) * rank + column + number] =
                            part.b.values[row * own + number]
                    }
                }
                column += own
            }
            written[index].a = Tensor(shape: [rank, inputs], values: parts.flatMap(\.a.values))
            written[index].b = b
            written[index].alpha *= growth(Double(rank) / Double(parts[0].a.shape[0]))
        }
        return written
    }

    /// The class names as `labels.json` has them, with `problem_type` unless the head is the softmax that it is taken
    /// for without.
    static func labels(_ head: Head, base: Checkpoint) -> JSON {
        var object: JSONObject = [
            "id2label": .object(
                head.classes.enumerated().reduce(into: JSONObject()) { $0["\($1.offset)"] = .string($1.element) })
        ]
        let type = try? ProblemType.read(base.configurationFile, path: base.folder)
        let usual = type.map { HeadActivation($0, outputs: head.classes.count) }
        if head.activation != .softmax || usual != .softmax {
            object[ProblemType.key] = .string(head.activation.problemType.rawValue)
        }
        return .object(object)
    }
}
