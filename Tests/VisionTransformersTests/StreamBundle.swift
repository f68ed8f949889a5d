import Compute
import Files
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// A bundle of tasks `a` and `b` with task streams over a base that is not the backbone, in a folder of its own.
struct StreamBundle {
    let scratch: TemporaryFolder
    let configuration: BackboneConfiguration

    init(_ name: String = "vit", ranks: [Int] = [3, 1]) throws {
        var draft = try BundleTests.Draft(name)
        draft.manifest["format_version"] = .int(ModelBundle.streamsFormatVersion)
        draft.manifest["streams"] = .bool(true)
        scratch = try draft.written()
        let backbone = try Checkpoint(folder: scratch.path)
        configuration = backbone.configuration
        let streams = zip(["a", "b"], ranks).enumerated().map {
            TaskStreamTests.stream($1.0, backbone.configuration, mapRank: $1.1, seed: UInt64(5 + 3 * $0))
        }
        let changed = try ["layers.0.attention.q_proj.weight", "layers.1.norm1.weight"].map { name in
            var tensor = try backbone.parameter(name)
            for index in tensor.values.indices { tensor.values[index] *= 0.9 }
            return (name: name, tensor: tensor)
        }
        try writeSafetensors(changed, to: scratch.path(StreamFile.baseName))
        try StreamFile.write(streams, baseParameters: changed.map(\.name), to: scratch.path(StreamFile.name))
    }

    private static func inputs(_ count: Int) -> [Float] { (0..<3 * count).map { Float(($0 * 7919) % 251) / 125 - 1 } }

    func opened() throws -> ModelBundle { try ModelBundle(folder: scratch.path) }

    /// The logits of three images of noise, (3, classes of all tasks that are computed).
    func logits(_ model: GroupedModel) throws -> [Float] {
        let inputs = Self.inputs(model.inputCount)
        var logits = [Float](repeating: .nan, count: 3 * model.classCount)
        try model.run(inputs, images: 3, logits: &logits)
        return logits
    }

    /// The names of the files of packed weights.
    var packedFiles: [String] { ((try? scratch.entries(PackedCache.folderName)) ?? []).sorted() }

    private func weights(_ tasks: [String]?, isCached: Bool) throws -> (weights: BackboneWeights, heads: [Head]) {
        let (groups, heads) = try opened().groups(for: tasks)
        let (checkpoint, streams) = try #require(groups.first?.backbone)
        let cache = PackedCache(checkpoint, nil, streams: streams, .always, settlingTime: 0)
        return (BackboneWeights(checkpoint, streams: streams, cache: isCached ? cache : nil), heads)
    }

    private func settings(_ precision: ComputePrecision) -> InferenceSettings {
        InferenceSettings(imageSize: configuration.imageSize, outputs: .streamContext, precision: precision)
    }

    /// The plan of the streams of some tasks; what it packed is written when it goes.
    func plan(
        _ precision: ComputePrecision = .f32, _ tasks: [String]? = nil, isCached: Bool = true
    ) throws -> StreamPlan {
        let (weights, heads) = try weights(tasks, isCached: isCached)
        return try StreamPlan(
            ForwardShape(configuration, heads: [], settings(precision)), heads: heads, #require(weights.streams),
            cache: weights.cache, KernelEngine(), WorkerPool(workers: 2))
    }

    /// The logits of three images of noise by packed weights that an earlier plan has left, if there are any.
    func logits(_ precision: ComputePrecision = .f32, isCached: Bool = true) throws -> [Float] {
        let (weights, heads) = try weights(nil, isCached: isCached)
        let model = try MultitaskModel(
            weights, configuration: configuration, heads: heads, settings(precision), WorkerPool(workers: 2))
        let inputs = Self.inputs(model.inputCount)
        var logits = [Float](repeating: .nan, count: 3 * model.classCount)
        try model.run(inputs, images: 3, logits: &logits)
        return logits
    }
}
