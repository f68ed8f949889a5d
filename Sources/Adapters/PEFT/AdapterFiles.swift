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
        var tensors: [(name: String, tensor: Tensor)] = []
        for module in modules {
            let path = "base_model.model." + names.path(of: module.module, family: base.configuration.family)
            tensors.append(("\(path).lora_A.weight", module.a))
            tensors.append(("\(path).lora_B.weight", module.b))
        }
        let classifier = head.flatMap { TransformersClassifier($0, configuration: base.configuration) }
        tensors += (classifier?.parameters ?? []).map { ("base_model.model.\($0.name)", $0.tensor) }
        try writeSafetensors(tensors, to: target.path("adapter_model.safetensors"))
        let configuration = AdapterConfigurationWriter(base: base, names: names)
            .json(modules.map { ($0.module, $0.a.shape[0]) }, scaling: scaling, head: classifier)
        try target.write("adapter_config.json", configuration.serialized())
        if let head { try target.write("labels.json", Self.labels(head, base: base).serialized()) }
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
