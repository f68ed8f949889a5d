package import Files
import Tensors
package import VisionTransformers

/// Writes one task of a bundle as a Hugging Face classification checkpoint, which
/// `AutoModelForImageClassification.from_pretrained` loads.
package enum ClassifierExport {
    /// The file that says where the checkpoint came from; a folder with it is one that this type wrote.
    package static let recordName = "export.json"
    /// An exported classifier's folder, where a model that was opened may have left packed weights.
    package static let kind = FolderKind(
        "an exported classifier", marker: recordName, contents: .init(folders: PackedCache.contents(ofFolder:)))

    /// Writes the files of a task, before the folder is committed.
    ///
    /// - Parameters:
    ///   - bundle: the bundle.
    ///   - task: the name of one of its tasks.
    ///   - folder: receives `config.json`, `model.safetensors`, `preprocessor_config.json` and `export.json`.
    /// - Returns: the class of transformers, and the head.
    /// - Throws: `ModelError` when there is no such task, or no class of transformers reads what its head reads;
    ///   `FileError` when a file cannot be read or written.
    package static func write(
        _ bundle: ModelBundle, task: String, to folder: AtomicFolder
    ) throws -> (architecture: String, head: Head) {
        guard let index = bundle.heads.firstIndex(where: { $0.task == task }),
            let group = bundle.groups.first(where: { $0.tasks.contains(index) })
        else { throw ModelError(bundle.folder, "has no task \"\(task)\"") }
        guard bundle.streams.allSatisfy({ $0 == nil }) else {
            throw ModelError(
                bundle.folder,
                "its tasks have streams over shared patch tokens, which no class of transformers computes; the adapter "
                    + "of \"\(task)\" itself gives nearly the same predictions in transformers and PEFT")
        }
        let (head, backbone) = (bundle.heads[index], group.backbone)
        guard backbone.configuration.family.classifierArchitecture != nil,
            let classifier = TransformersClassifier(head, configuration: backbone.configuration)
        else { throw refusal(head, backbone) }
        try writeWeights(backbone, classifier, to: folder.path("model.safetensors"))
        try folder.write("config.json", configuration(backbone, head, classifier).serialized())
        try folder.write(ModelBundle.preprocessingName, bundle.backbone.preprocessorFile().json.serialized())
        var files =
            ["\(backbone.folder)/config.json"] + bundle.backbone.preprocessorPaths + backbone.files.map(\.path)
        if bundle.manifest != nil {
            files += [ModelBundle.headsName, ModelBundle.manifestName].map { "\(bundle.folder)/\($0)" }
        }
        try folder.write(
            recordName,
            JSON.object([
                "format": "mergevit-export", "format_version": .int(1), "task": .string(task),
                "bundle": .object(["path": .string(bundle.folder), "sha256": try SHA256.json(ofFiles: files)]),
            ])
            .serialized())
        return (classifier.architecture, head)
    }

    /// The backbone under the names of its file with the prefix of a model with a head, then the head.
    private static func writeWeights(
        _ backbone: Checkpoint, _ classifier: TransformersClassifier, to path: String
    ) throws {
        let naming = backbone.names
        let stored = backbone.storedTensors.filter { tensor in
            tensor.parameters.allSatisfy { name in
                !ParameterNames.isHead(name)
                    && (!naming.isUnused(name) || naming.isUnused(name, besideHead: true))
            }
        }
        let names = stored.map { "\(naming.prefix)\(naming.withoutPrefix($0.entry.name))" }
        let writer = try SafetensorsWriter(
            path: path,
            declarations: zip(stored, names).map { .init(name: $1, shape: $0.entry.shape) }
                + classifier.parameters.map { .init(name: $0.name, shape: $0.tensor.shape) })
        for (tensor, name) in zip(stored, names) {
            var values: [Float] = []
            for parameter in tensor.parameters {
                values += try backbone.parameter(parameter).values
                backbone.release(parameter)
            }
            try writer.append(name, Tensor(shape: tensor.entry.shape, values: values))
        }
        for (name, tensor) in classifier.parameters { try writer.append(name, tensor) }
        try writer.finish()
    }

    /// The backbone's `config.json` as that of a classifier in 32-bit floats.
    private static func configuration(
        _ backbone: Checkpoint, _ head: Head, _ classifier: TransformersClassifier
    ) -> JSON {
        var object = backbone.configurationFile.objectValue ?? [:]
        object["num_labels"] = nil
        object["architectures"] = .array([.string(classifier.architecture)])
        backbone.configuration.family.describe(head.classes, in: &object)
        for key in ["dtype", "torch_dtype"] where object[key] != nil { object[key] = .string("float32") }
        let classes = head.classes.enumerated()
        object["id2label"] = .object(classes.reduce(into: JSONObject()) { $0["\($1.offset)"] = .string($1.element) })
        object["label2id"] = .object(classes.reduce(into: JSONObject()) { $0[$1.element] = .int($1.offset) })
        object[ProblemType.key] = .string(head.activation.problemType.rawValue)
        return .object(object)
    }

    private static func refusal(_ head: Head, _ backbone: Checkpoint) -> ModelError {
        let configuration = backbone.configuration
        guard let classifier = configuration.family.classifierArchitecture else {
            return ModelError(
                head.task, "transformers has no class that classifies images with a \(configuration.family.name)")
        }
        return ModelError(
            head.task,
            "the head was aligned with the merged backbone and reads \(head.weight.shape[1]) features, the mean of the "
                + "patch tokens among them; \(classifier) reads "
                + "\(configuration.hiddenSize * configuration.classifierParts)",
            remedy: AdapterRemedy.mergeWithoutAlignment)
    }
}
