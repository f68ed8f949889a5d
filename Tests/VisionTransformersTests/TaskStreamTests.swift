import Compute
import Images
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// A backbone with a task's changes added to its weights.
struct MergedSource: ParameterSource {
    let base: any ParameterSource
    let stream: TaskStream

    func parameter(_ name: String) throws -> Tensor {
        var tensor = try base.parameter(name)
        guard name.hasSuffix(".weight"), let change = stream.changes[String(name.dropLast(".weight".count))] else {
            return tensor
        }
        let columns = change.down.shape[1]
        for row in 0..<change.up.shape[0] {
            for column in 0..<columns {
                for number in 0..<change.rank {
                    tensor.values[row * columns + column] +=
                        change.up.values[row * change.rank + number] * change.down.values[number * columns + column]
                }
            }
        }
        return tensor
    }

    func release(_ name: String) {}
}

@Suite struct TaskStreamTests {
    static let families = [
        "vit", "vit_noqkvbias", "vit_gelu_tanh", "deit", "deit_distilled", "dinov2", "dinov2_swiglu",
        "dinov2_registers", "vit_msn", "vit_mae", "timm_augreg", "timm_deit3", "timm_clip", "timm_dinov2_registers",
    ]
    private static let refused = [
        ("siglip", "has no CLS token"), ("ijepa", "has no CLS token"), ("clip", "has classifiers that read the mean"),
        ("dinov3", "rotates keys"), ("beit_cls", "adds a bias by position"),
        ("timm_eva_large", "has classifiers that read the mean"),
    ]

    @Test(arguments: refused) func familiesWithoutStreamsAreNamed(_ name: String, _ reason: String) throws {
        let c = try Checkpoint(folder: caseFolder(name)).configuration
        let said = message { try c.checkStreams(path: "base") }
        #expect(said.hasPrefix("base: a \(c.family.name) \(reason)"), "\(said)")
    }
    private static let size = ImageSize(height: 32, width: 32)

    /// A stream with changes of every linear layer, of several ranks.
    static func stream(_ task: String, _ c: BackboneConfiguration, mapRank: Int = 0, seed: UInt64) -> TaskStream {
        var noise = Noise(state: seed)
        func change(_ inputs: Int, _ outputs: Int, rank: Int, size: Float) -> LowRankChange {
            LowRankChange(
                down: Tensor(shape: [rank, inputs], values: noise.values(rank * inputs).map { $0 * size }),
                up: Tensor(shape: [outputs, rank], values: noise.values(outputs * rank).map { $0 * size }))
        }
        var changes: [String: LowRankChange] = [:]
        for layer in 0..<c.layers {
            let mlp = c.mlpNames(layer)
            let attention = ["q", "k", "v", "o"].map { "layers.\(layer).attention.\($0)_proj" }
            for (index, name) in (attention + [mlp.first, mlp.second] + [mlp.up].compactMap(\.self)).enumerated() {
                guard let shape = c.linearShape(of: name), (index + layer) % 4 != Int(seed % 4) else { continue }
                changes[name] = change(shape.inputs, shape.outputs, rank: 2 + index % 3, size: 0.15)
            }
        }
        let maps = (0..<c.layers).map { _ in
            guard mapRank > 0 else { return TokenMap.identity(width: c.hiddenSize) }
            return TokenMap(
                change(c.hiddenSize, c.hiddenSize, rank: mapRank, size: 0.2),
                shift: noise.values(c.hiddenSize).map { $0 * 0.3 })
        }
        return TaskStream(task: task, changes: changes, maps: maps)
    }

    private static func head(_ task: String, _ c: BackboneConfiguration, classes: Int, seed: UInt64) throws -> Head {
        var noise = Noise(state: seed)
        return try Head(
            task: task, classes: (0..<classes).map { "\(task)\($0)" },
            weight: Tensor(shape: [classes, c.hiddenSize], values: noise.values(classes * c.hiddenSize)),
            bias: Tensor(shape: [classes], values: noise.values(classes)), activation: .softmax, path: "test")
    }

    private static func logits(_ model: MultitaskModel, _ inputs: [Float]) throws -> [Float] {
        let images = inputs.count / model.inputCount
        var logits = [Float](repeating: 0, count: images * model.classCount)
        try model.run(inputs, images: images, logits: &logits)
        return logits
    }

    private struct Scene {
        let base: Checkpoint
        let inputs: [Float]
        let heads: [Head]
        var configuration: BackboneConfiguration { base.configuration }

        init(_ name: String) throws {
            base = try Checkpoint(folder: caseFolder(name))
            let io = try SafetensorsFile(path: caseFolder(name) + "/io.safetensors")
            inputs = ForwardTests.patches(try io.tensor("pixel_values"), base.configuration)
            heads = [
                try TaskStreamTests.head("a", base.configuration, classes: 5, seed: 1),
                try TaskStreamTests.head("b", base.configuration, classes: 3, seed: 2),
            ]
        }

        func model(
            _ source: some ParameterSource, _ streams: [TaskStream], threads: Int = 2,
            precision: ComputePrecision = .f32
        ) throws -> MultitaskModel {
            try MultitaskModel(
                source, configuration: configuration, heads: heads, imageSize: TaskStreamTests.size, threads: threads,
                precision: precision, streams: TaskStreams(base: base, streams: streams))
        }
    }

    /// A stream over the patches of its own adapter computes what the adapter alone does, whatever it changes.
    @Test(arguments: families) func aStreamOverItsOwnPatchesIsItsAdapter(_ name: String) throws {
        let scene = try Scene(name)
        let streams = [
            Self.stream("a", scene.configuration, seed: 3), Self.stream("b", scene.configuration, seed: 6),
        ]
        for (task, head) in scene.heads.enumerated() {
            let own = MergedSource(base: scene.base, stream: streams[task])
            let single = try MultitaskModel(
                own, configuration: scene.configuration, heads: [head], imageSize: Self.size, threads: 1)
            let expected = try Self.logits(single, scene.inputs)
            let model = try scene.model(own, streams)
            let found = try Self.logits(model, scene.inputs)
            let images = scene.inputs.count / model.inputCount
            let start = task == 0 ? 0 : scene.heads[0].classes.count
            var largest: Float = 0
            for image in 0..<images {
                for label in head.classes.indices {
                    let value = found[image * model.classCount + start + label]
                    largest = max(largest, abs(value - expected[image * head.classes.count + label]))
                }
            }
            #expect(largest < 2e-4, "\(head.task)")
            #expect(zip(found, found.dropFirst()).contains { $0 != $1 })
        }
    }

    /// With maps and over the base's patches, streams are what the formulas say, computed in double precision.
    @Test(arguments: families) func streamsAreWhatTheFormulasSay(_ name: String) throws {
        let scene = try Scene(name)
        let streams = [
            Self.stream("a", scene.configuration, mapRank: 3, seed: 5),
            Self.stream("b", scene.configuration, mapRank: 1, seed: 8),
        ]
        let model = try scene.model(scene.base, streams)
        let found = try Self.logits(model, scene.inputs)
        let reference = try ReferenceStreams(scene.base)
        let images = scene.inputs.count / model.inputCount
        let context = try reference.context(scene.inputs, images: images)
        for image in 0..<images {
            var start = image * model.classCount
            for (stream, head) in zip(streams, scene.heads) {
                let expected = reference.logits(try reference.features(stream, context[image]), head)
                for label in head.classes.indices {
                    #expect(abs(Double(found[start + label]) - expected[label]) < 3e-4)
                }
                start += head.classes.count
            }
        }
    }

    @Test(arguments: ["vit", "dinov2_swiglu"]) func bitsDoNotDependOnBatchPlaceThreadsOrOtherStreams(_ name: String)
        throws
    {
        let scene = try Scene(name)
        let streams = [
            Self.stream("a", scene.configuration, mapRank: 2, seed: 5),
            Self.stream("b", scene.configuration, mapRank: 1, seed: 8),
        ]
        let precisions = ComputePrecision.allCases.filter { (try? $0.check()) != nil }
        for precision in precisions {
            let one = try scene.model(scene.base, streams, threads: 1, precision: precision)
            let (count, classes) = (one.inputCount, one.classCount)
            let expected = try (0..<3).map {
                try Self.logits(one, Array(scene.inputs[$0 * count..<($0 + 1) * count]))
            }
            let many = (0..<11).flatMap { scene.inputs[$0 % 3 * count..<($0 % 3 + 1) * count] }
            for threads in [1, 3] {
                let model = try scene.model(scene.base, streams, threads: threads, precision: precision)
                let found = try Self.logits(model, many)
                for image in 0..<11 {
                    #expect(
                        Array(found[image * classes..<(image + 1) * classes]) == expected[image % 3],
                        "\(precision), \(threads) threads, image \(image)")
                }
            }
        }
    }

    /// A batch is cut into parts that keep all threads busy to the end, each of as many images as a thread computes at
    /// once, at most.
    @Test(arguments: [1, 2, 3, 8]) func threadsGetAsManyPartsOfEqualSizes(_ threads: Int) throws {
        let scene = try Scene("vit")
        let streams = [
            Self.stream("a", scene.configuration, seed: 5), Self.stream("b", scene.configuration, seed: 8),
        ]
        let model = try scene.model(scene.base, streams, threads: threads)
        let plain = try MultitaskModel(
            scene.base, configuration: scene.configuration, heads: scene.heads, imageSize: Self.size, threads: threads)
        for images in 0..<70 {
            let units = model.units(images: images)
            #expect(units.flatMap(Array.init) == Array(0..<images))
            let sizes = units.map(\.count)
            #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1 && sizes.allSatisfy { 1...model.groupSize ~= $0 })
            #expect(units.count.isMultiple(of: threads) || units.count == images)
            #expect(units.count < max(images, 1) / model.groupSize + threads + 1)
            #expect(plain.units(images: images) == (0..<images).map { $0..<$0 + 1 })
        }
    }

    @Test func narrowPrecisionsAreNear() throws {
        let scene = try Scene("vit")
        let streams = [
            Self.stream("a", scene.configuration, mapRank: 2, seed: 5),
            Self.stream("b", scene.configuration, mapRank: 1, seed: 8),
        ]
        let exact = try Self.logits(scene.model(scene.base, streams), scene.inputs)
        let spread = (exact.max() ?? 0) - (exact.min() ?? 0)
        for precision in [ComputePrecision.bf16, .int8] where (try? precision.check()) != nil {
            let found = try Self.logits(scene.model(scene.base, streams, precision: precision), scene.inputs)
            let largest = zip(exact, found).map { abs($0 - $1) }.max() ?? 0
            #expect(largest < 0.1 * spread && largest > 0)
        }
    }

    @Test func whatDoesNotFitIsNamed() throws {
        let scene = try Scene("vit")
        let c = scene.configuration
        let good = Self.stream("a", c, mapRank: 2, seed: 5)
        try good.check(c, path: "f")
        func refused(_ stream: TaskStream) -> String {
            do { try stream.check(c, path: "f") } catch { return "\(error)" }
            return ""
        }
        let short = TaskStream(task: "a", changes: good.changes, maps: Array(good.maps.dropLast()))
        #expect(refused(short) == "f: a: expected \(c.layers) token maps, found \(c.layers - 1)")
        let change = LowRankChange(
            down: Tensor(shape: [1, 3], values: [1, 2, 3]), up: Tensor(shape: [1, 1], values: [1]))
        let foreign = TaskStream(task: "a", changes: ["layers.9.attention.q_proj": change], maps: good.maps)
        #expect(refused(foreign).contains("\"layers.9.attention.q_proj\" is no linear layer"))
        let misshapen = TaskStream(task: "a", changes: ["layers.0.attention.q_proj": change], maps: good.maps)
        #expect(refused(misshapen).contains("expected (r, \(c.hiddenSize))"))
        #expect(throws: ModelError.self) {
            var noise = Noise(state: 1)
            let wide = try Head(
                task: "b", classes: ["x", "y"],
                weight: Tensor(shape: [2, 2 * c.hiddenSize], values: noise.values(4 * c.hiddenSize)),
                bias: Tensor(shape: [2], values: [0, 0]), activation: .softmax, path: "t")
            _ = try MultitaskModel(
                scene.base, configuration: c, heads: [wide], imageSize: Self.size, threads: 1,
                streams: TaskStreams(base: scene.base, streams: [good]))
        }
    }
}
