package import Files
package import Tensors
package import VisionTransformers

/// What training a task gave: low-rank updates, or none, and a head.
package struct TrainedAdapter: Sendable {
    /// The low-rank updates by the canonical names of their modules, in the order of the layers.
    let updates: [(module: String, a: Tensor, b: Tensor)]
    /// How B·A is scaled.
    let scaling: AdapterScaling
    /// The head.
    package let head: Head

    /// The file that says how a folder was trained; a folder with it is one that this type wrote.
    package static let recordName = "training.json"

    private static let kind = FolderKind("a trained adapter", marker: recordName)

    /// An adapter from the parameters of a classifier that was trained.
    ///
    /// - Parameters:
    ///   - parameters: `MODULE.lora_A.weight`, `MODULE.lora_B.weight`, `classifier.weight` and `classifier.bias`.
    ///   - alpha: α; without it that of the rank.
    ///   - isRankStabilized: whether the scale is α/√r.
    ///   - dropout: the part of the inputs of B·A that was dropped.
    ///   - task: the task's name.
    ///   - classes: the class names in the order of the logits.
    ///   - activation: what the head was trained for.
    /// - Throws: `ModelError` naming a parameter that is missing or left over.
    package init(
        parameters: [(name: String, tensor: Tensor)], alpha: Double? = nil, isRankStabilized: Bool = false,
        dropout: Double = 0, task: String, classes: [String], activation: HeadActivation = .softmax
    ) throws {
        var byName = Dictionary(parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        func take(_ name: String) throws -> Tensor {
            guard let tensor = byName.removeValue(forKey: name) else {
                throw ModelError(task, "no trained parameter \"\(name)\"")
            }
            return tensor
        }
        head = try Head(
            task: task, classes: classes, weight: take("classifier.weight"), bias: take("classifier.bias"),
            activation: activation, path: task)
        let ending = ".lora_A.weight"
        let modules = parameters.map(\.name).filter { $0.hasSuffix(ending) }.map { String($0.dropLast(ending.count)) }
        updates = try modules.sorted(by: ParameterNames.isBefore).map {
            ($0, try take("\($0).lora_A.weight"), try take("\($0).lora_B.weight"))
        }
        if let other = byName.keys.min() {
            throw ModelError(task, "a trained parameter \"\(other)\" that is not known")
        }
        scaling = AdapterScaling(alpha: alpha, isRankStabilized: isRankStabilized, dropout: dropout)
    }

    /// Checks that the adapter could be written, before it is trained.
    ///
    /// - Throws: `ModelError` when something is there already.
    package static func check(_ folder: String, replaces: Bool) throws {
        try AtomicFolder.check(folder, kind, replaces: replaces)
    }

    /// Writes a PEFT folder with `labels.json` and `training.json`, or, without updates, a folder of
    /// `head.safetensors`, `labels.json` and `training.json`. It appears under its name whole or not at all.
    ///
    /// - Parameters:
    ///   - folder: where; its parent must exist.
    ///   - base: the base that it was trained on.
    ///   - names: how modules are called.
    ///   - record: what `training.json` says.
    ///   - replaces: whether a folder that was written by this function may be replaced.
    /// - Throws: `ModelError`, `FileError` when something is there already or the disk refuses.
    package func write(
        to folder: String, base: Checkpoint, names: ModuleNames = .transformers5, record: JSON, replaces: Bool
    ) throws {
        let target = try AtomicFolder(folder, Self.kind, replaces: replaces)
        do {
            if updates.isEmpty {
                try writeSafetensors(
                    [("classifier.weight", head.weight), ("classifier.bias", head.bias)],
                    to: target.path("head.safetensors"))
                try target.write("labels.json", AdapterFiles.labels(head, base: base).serialized())
            } else {
                try AdapterFiles(base: base, names: names).write(updates, scaling: scaling, head: head, to: target)
            }
            try target.write(Self.recordName, record.serialized())
            try target.commit()
        } catch {
            target.discard()
            throw error
        }
    }
}
