import Compute
import Images
import Synchronization
import Tensors
import Testing

@testable import VisionTransformers

/// The forward pass in every precision that the processor has, on what transformers computed in f32.
@Suite struct ForwardPrecisionTests {
    static let precisions = ComputePrecision.allCases.filter(\.isSupported)
    /// Every family in every precision.
    static let cases = ForwardTests.models.flatMap { model in precisions.map { (model, $0) } }

    func model(
        _ name: String, _ precision: ComputePrecision, threads: Int = 1, outputs: ModelOutputs = []
    ) throws -> MultitaskModel {
        let checkpoint = try Checkpoint(folder: caseFolder(name))
        let head = try #require(try checkpoint.head(task: "label"))
        return try MultitaskModel(
            checkpoint, configuration: checkpoint.configuration, heads: [head],
            imageSize: .init(height: 32, width: 32), threads: threads, outputs: outputs,
            precision: precision)
    }

    func logits(_ model: MultitaskModel, _ inputs: [Float]) throws -> [Float] {
        let images = inputs.count / model.inputCount
        var logits = [Float](repeating: 0, count: images * model.classCount)
        try model.run(inputs, images: images, logits: &logits)
        return logits
    }

    func distance(_ a: [Float], _ b: [Float]) -> Float {
        a.count == b.count ? zip(a, b).map { abs($0 - $1) }.max() ?? 0 : .infinity
    }

    /// How far logits may be from f32's, as a part of the largest of them. A rounded operand is off by 2^-9 in bf16, by
    /// 2^-8 of its row's largest in int8; roundings of some dozens of layers add up as their root.
    func tolerance(_ precision: ComputePrecision) -> Float {
        switch precision {
        case .f32: 1e-5
        case .bf16: 0x1p-9 * 16
        case .int8: 0x1p-8 * 16
        }
    }

    @Test(arguments: cases)
    func logitsAreNearThoseOfTransformers(_ name: String, _ precision: ComputePrecision) throws {
        let io = try SafetensorsFile(path: caseFolder(name) + "/io.safetensors")
        let model = try model(name, precision)
        for prefix in ["", "photo."] {
            let inputs = ForwardTests.patches(try io.tensor(prefix + "pixel_values"), model.configuration)
            let expected = try io.tensor(prefix + "logits").values
            let largest = expected.map(abs).max() ?? 0
            let found = try distance(logits(model, inputs), expected)
            #expect(found < max(1e-4, tolerance(precision) * largest), "\(found) of \(largest)")
        }
    }

    @Test(arguments: cases)
    func sameBitsInAnyBatchAndThreadCount(_ name: String, _ precision: ComputePrecision) throws {
        let io = try SafetensorsFile(path: caseFolder(name) + "/io.safetensors")
        let one = try model(name, precision)
        let inputs = ForwardTests.patches(try io.tensor("pixel_values"), one.configuration)
        let together = try logits(one, inputs)
        let three = try model(name, precision, threads: 3)
        #expect(try logits(three, inputs) == together)
        let alone = try stride(from: 0, to: inputs.count, by: one.inputCount).flatMap {
            try logits(three, Array(inputs[$0..<$0 + one.inputCount]))
        }
        #expect(alone == together)
    }

    /// The last block's savings change nothing but the order of sums.
    @Test(arguments: cases)
    func tokensThatAreNotReadDoNotMatter(_ name: String, _ precision: ComputePrecision) throws {
        let io = try SafetensorsFile(path: caseFolder(name) + "/io.safetensors")
        let (some, all) = (try model(name, precision), try model(name, precision, outputs: .allTokens))
        let inputs = ForwardTests.patches(try io.tensor("pixel_values"), all.configuration)
        let expected = try logits(all, inputs)
        let bound: Float = precision == .f32 ? 1e-5 : tolerance(precision) * (expected.map(abs).max() ?? 0)
        #expect(try distance(logits(some, inputs), expected) < bound)
        #expect(some.operationsPerImage <= all.operationsPerImage)
        guard some.configuration.anatomy.features.hasTokens, some.configuration.classifierParts == 1 else { return }
        #expect(some.operationsPerImage < all.operationsPerImage)
        var hidden = [Float](repeating: 0, count: some.hiddenShape.reduce(1, *))
        #expect(throws: ModelError.self) { try some.run(inputs, images: 1, logits: nil, hidden: &hidden) }
        #expect(throws: ModelError.self) { try some.observe(inputs, images: 1) { _, _, _, _, _, _ in } }
    }

    @Test(.enabled(if: precisions.contains(.int8), "the processor has no int8"))
    func layersAreNotObservedInInt8() throws {
        let model = try model("vit", .int8, outputs: .allTokens)
        let inputs = [Float](repeating: 0, count: model.inputCount)
        #expect(throws: ModelError.self) { try model.observe(inputs, images: 1) { _, _, _, _, _, _ in } }
    }

    /// What is observed in bf16 are the rounded inputs, near those of f32.
    @Test(.enabled(if: precisions.contains(.bf16), "the processor has no bf16"), arguments: ForwardTests.models)
    func layersAreObservedInBF16(_ name: String) throws {
        let io = try SafetensorsFile(path: caseFolder(name) + "/io.safetensors")
        let observed = try [ComputePrecision.f32, .bf16].map { precision in
            let model = try model(name, precision, outputs: .allTokens)
            let inputs = ForwardTests.patches(try io.tensor("pixel_values"), model.configuration)
            let layers = Mutex<[String: [Float]]>([:])
            try model.observe(inputs, images: 1) { _, layer, site, values, rows, columns in
                let values = Array(UnsafeBufferPointer(start: values, count: rows * columns))
                layers.withLock { $0["\(layer) \(site)"] = values }
            }
            return layers.withLock(\.self)
        }
        #expect(Set(observed[0].keys) == Set(observed[1].keys) && !observed[0].isEmpty)
        for (site, expected) in observed[0] {
            let found = try #require(observed[1][site])
            #expect(found.allSatisfy { $0.bitPattern & 0xFFFF == 0 }, "\(site): not rounded")
            let largest = expected.map(abs).max() ?? 0
            #expect(distance(found, expected) < tolerance(.bf16) * largest, "\(site)")
        }
    }

    /// Buffers are larger than what is in them.
    @Test(arguments: ForwardTests.models) func observedRowsHaveTheChannelsOfTheirSite(_ name: String) throws {
        let model = try model(name, .f32, outputs: .allTokens)
        let inputs = [Float](repeating: 0.5, count: 2 * model.inputCount)
        let wrong = Mutex<[LayerSite]>([])
        let count = Mutex(0)
        try model.observe(inputs, images: 2) { _, _, site, _, rows, columns in
            count.withLock { $0 += 1 }
            guard rows != model.hiddenShape[0] || columns != site.columns(model.configuration) else { return }
            wrong.withLock { $0.append(site) }
        }
        #expect(wrong.withLock(\.self).isEmpty)
        #expect(count.withLock(\.self) == 2 * model.configuration.layers * LayerSite.allCases.count)
    }

    @Test(arguments: precisions) func aProfileNamesWhatTakesTime(_ precision: ComputePrecision) throws {
        let model = try model("vit", precision)
        let times = try model.profile([Float](repeating: 0, count: model.inputCount))
        let absent: Set<ForwardStage> =
            precision == .int8 ? [.streams, .merging] : [.streams, .merging, .quantization]
        let expected = ForwardStage.allCases.filter { !absent.contains($0) }
        #expect(Set(times.keys) == Set(expected))
    }
}
