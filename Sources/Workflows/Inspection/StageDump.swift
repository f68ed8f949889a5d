import Datasets
import Files
package import Images
import Tensors
package import VisionTransformers

/// What each stage makes of one image.
package enum StageDump {
    /// What sees the image.
    package enum Model {
        case bundle(String)
        case base(String)
    }

    /// Runs one image through a model and writes the stages.
    ///
    /// - Throws: errors of the model; `ModelError` naming the image when it cannot be used.
    package static func write(
        model source: Model, image: String, preprocessor: PreprocessorChoice, decoding: DecodingOptions, to path: String
    ) throws {
        let (groups, configuration, preprocessing, heads) = try open(source, preprocessor)
        let preparer = PatchPreparer(preprocessing, configuration: configuration, decoding: decoding)
        let (rgb, prepared) = try pictures(image, preparer)
        let model = try GroupedModel(
            groups, configuration: configuration, heads: heads, imageSize: configuration.inputSize(preprocessing),
            threads: 1, outputs: .allTokens)
        let patches = FloatBuffer(count: model.inputCount)
        preparer.writePatches(of: prepared, into: patches.elements)
        var logits = [Float](repeating: 0, count: model.classCount)
        let hiddenCount = model.hiddenShape.reduce(1, *)
        var hidden = [Float](repeating: 0, count: model.groupCount * hiddenCount)
        try model.run(patches.base, images: 1, logits: &logits, hidden: &hidden)

        var stages: [(name: String, tensor: Tensor)] = [("pixel_values", preprocessing.pixelValues(of: prepared))]
        for group in 0..<model.groupCount {
            let values = Array(hidden[group * hiddenCount..<(group + 1) * hiddenCount])
            let name = ["hidden", ModelBundle.groupFolder(group)].compactMap(\.self).joined(separator: ".")
            stages.append((name, Tensor(shape: [1] + model.hiddenShape, values: values)))
        }
        var start = 0
        for head in heads {
            let end = start + head.classes.count
            stages.append(
                ("logits.\(head.task)", Tensor(shape: [1, head.classes.count], values: Array(logits[start..<end]))))
            start = end
        }
        try write(rgb, stages, to: path)
    }

    private static func pictures(_ path: String, _ preparer: PatchPreparer) throws -> (RGBImage, RGBImage) {
        let file = try MappedFile(path: path)
        do { return try preparer.pictures(file.bytes) } catch { throw ModelError(path, "\(error)") }
    }

    private static func open(
        _ source: Model, _ preprocessor: PreprocessorChoice
    ) throws -> ([TaskGroup<BackboneWeights>], BackboneConfiguration, Preprocessing, [Head]) {
        switch source {
        case .bundle(let folder):
            let bundle = try ModelBundle(folder: folder, preprocessor: preprocessor)
            guard bundle.streams.allSatisfy({ $0 == nil }) else {
                throw ModelError(
                    folder, "a model with task streams has no stages that another program computes; dump its base")
            }
            let groups = bundle.groups.map { TaskGroup(backbone: BackboneWeights($0.backbone), tasks: $0.tasks) }
            return (groups, bundle.backbone.configuration, bundle.preprocessing, bundle.heads)
        case .base(let folder):
            let backbone = try Checkpoint(folder: folder, preprocessor: preprocessor)
            let preprocessing = try backbone.preprocessing()
            return (
                [TaskGroup(backbone: BackboneWeights(backbone), tasks: [])], backbone.configuration, preprocessing, []
            )
        }
    }

    private static func write(
        _ rgb: RGBImage, _ stages: [(name: String, tensor: Tensor)], to path: String
    ) throws {
        let writer = try SafetensorsWriter(
            path: path,
            declarations: [.init(name: "rgb", type: .uint8, shape: [rgb.height, rgb.width, 3])]
                + stages.map { .init(name: $0.name, shape: $0.tensor.shape) })
        try rgb.pixels.withUnsafeBytes { try writer.append("rgb", bytes: $0) }
        for (name, tensor) in stages { try writer.append(name, tensor) }
        try writer.finish()
    }
}
