import Compute
import Images
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// Training of the patch tokens that task streams read.
@Suite struct TrainableTokensTests {
    private static let size = ImageSize(height: 32, width: 32)
    private static let families = ["vit", "vit_noqkvbias", "deit_distilled", "dinov2", "dinov2_swiglu"]

    /// A base with two tasks' streams, whose loss is computed of two images of each.
    private struct Scene {
        let base: Checkpoint
        let streams: [TaskStream]
        /// (tasks, batch, `inputCount`).
        let inputs: [Float]
        let batch = 2

        init(_ name: String) throws {
            base = try Checkpoint(folder: caseFolder(name))
            let c = base.configuration
            streams = [
                TaskStreamTests.stream("a", c, mapRank: 3, seed: 5), TaskStreamTests.stream("b", c, seed: 8),
            ]
            let io = try SafetensorsFile(path: caseFolder(name) + "/io.safetensors")
            let given = ForwardTests.patches(try io.tensor("pixel_values"), c)
            inputs = given + given.map { 0.7 * $0 + 0.1 }
        }

        func tokens(
            rank: Int? = nil, threads: Int = 1, precision: OperandType = .f32
        ) throws -> TrainableTokens {
            let tokens = try TrainableTokens(
                base, streams: TaskStreams(base: base, streams: streams), configuration: base.configuration,
                imageSize: TrainableTokensTests.size, form: rank.map { .lowRank(rank: $0, scale: 2) } ?? .dense,
                passes: PassSettings(threads: threads, precision: precision))
            for tensor in tokens.tensors {
                var noise = SplitMix64(seed: 2, name: tensor.name)
                for index in 0..<tensor.values.count { tensor.values.base[index] = Float(0.1 * noise.nextNormal()) }
            }
            try tokens.refresh()
            return tokens
        }

        /// The tokens that each block's attention reads, but CLS: [image][block][token][channel].
        func tokens(_ source: some ParameterSource, _ inputs: ArraySlice<Float>) throws -> [[[[Double]]]] {
            let model = try MultitaskModel(
                source, configuration: base.configuration, heads: [], imageSize: TrainableTokensTests.size, threads: 1,
                outputs: .allTokens)
            let (images, width) = (inputs.count / model.inputCount, base.configuration.hiddenSize)
            nonisolated(unsafe) var result = [[[[Double]]]](repeating: [], count: images)
            try model.observe(Array(inputs), images: images) { image, _, site, values, rows, _ in
                guard site == .attentionInput else { return }
                result[image].append(
                    (1..<rows).map { row in (0..<width).map { Double(values[row * width + $0]) } })
            }
            return result
        }
    }

    /// eᵀ G e by its formula in double precision.
    private static func loss(
        _ token: [Double], _ target: [Double], _ map: TokenMap, keys: [Float], values: [Float]
    ) -> Double {
        let (d, rank) = (token.count, map.change.rank)
        let (down, up) = (map.change.down.values, map.change.up.values)
        let low = (0..<rank).map { number in
            (0..<d).reduce(0.0) { $0 + Double(down[number * d + $1]) * token[$1] }
        }
        let error = (0..<d).map { row in
            let mapped = (0..<rank).reduce(0.0) { $0 + Double(up[row * rank + $1]) * low[$1] }
            return token[row] + mapped + Double(map.shift[row]) - target[row]
        }
        return [keys, values].reduce(0.0) { sum, weight in
            let norm = weight.reduce(0.0) { $0 + Double($1) * Double($1) }
            let squares = (0..<d).reduce(0.0) { sum, row in
                let product = (0..<d).reduce(0.0) { $0 + Double(weight[row * d + $1]) * error[$1] }
                return sum + product * product
            }
            return sum + Double(d) / 2 * squares / norm
        }
    }

    private static func weights(_ base: Checkpoint, _ layer: Int) throws -> (keys: [Float], values: [Float]) {
        let attention = "layers.\(layer).attention"
        return (
            try base.parameter("\(attention).k_proj.weight").values,
            try base.parameter("\(attention).v_proj.weight").values
        )
    }

    /// Untrained, the loss is that of the base's tokens, with the single adapters' as the merged weights give them.
    @Test(arguments: families) func theLossIsWhatTheFormulaSays(_ name: String) throws {
        let scene = try Scene(name)
        let c = scene.base.configuration
        let trained = try scene.tokens()
        for tensor in trained.tensors { tensor.values.base.update(repeating: 0, count: tensor.values.count) }
        try trained.refresh()
        let found = try trained.gradients(scene.inputs, batch: scene.batch)
        for (task, stream) in scene.streams.enumerated() {
            let count = scene.batch * trained.inputCount
            let inputs = scene.inputs[task * count..<(task + 1) * count]
            let shared = try scene.tokens(scene.base, inputs)
            let own = try scene.tokens(MergedSource(base: scene.base, stream: stream), inputs)
            var sum = 0.0
            for layer in 1..<c.layers {
                let (keys, values) = try Self.weights(scene.base, layer)
                for image in 0..<scene.batch {
                    let tokens = zip(shared[image][layer], own[image][layer])
                    sum +=
                        tokens.reduce(0) {
                            $0 + Self.loss($1.0, $1.1, stream.maps[layer], keys: keys, values: values)
                        } / Double(shared[image][layer].count)
                }
            }
            let expected = sum / Double(scene.batch * (c.layers - 1) * c.hiddenSize)
            #expect(abs(found[task] / expected - 1) < 1e-4, "\(found[task]) \(expected)")
        }
    }

    /// With products of bf16 numbers, losses and gradients are near those of f32, with the same bits on any threads.
    @Test(.enabled(if: OperandType.bf16.isSupported, "the processor has no bf16"), arguments: families)
    func gradientsInBF16AreNearThoseInF32(_ name: String) throws {
        let scene = try Scene(name)
        func gradients(_ precision: OperandType, threads: Int) throws -> (losses: [Double], all: [[Float]]) {
            let tokens = try scene.tokens(rank: 4, threads: threads, precision: precision)
            let losses = try tokens.gradients(scene.inputs, batch: scene.batch)
            return (losses, tokens.tensors.map { Array($0.gradient.elements) })
        }
        let (exact, reduced) = (try gradients(.f32, threads: 1), try gradients(.bf16, threads: 1))
        for (found, expected) in zip(reduced.losses, exact.losses) { #expect(abs(found / expected - 1) < 0.05) }
        func norm(_ values: [Float]) -> Double { values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot() }
        let (a, b) = (reduced.all.joined().map { $0 }, exact.all.joined().map { $0 })
        #expect(norm(zip(a, b).map { $0 - $1 }) < 0.1 * norm(b) && a != b)
        let more = try gradients(.bf16, threads: 3)
        #expect(more.losses == reduced.losses && more.all == reduced.all)
    }

    /// The gradient by the tokens is that of the formula, by differences in double precision.
    @Test(arguments: [0, 3]) func tokensGetTheGradientOfTheFormula(_ rank: Int) throws {
        let base = try Checkpoint(folder: caseFolder("vit"))
        let (c, count, layer) = (base.configuration, 5, 1)
        let d = c.hiddenSize
        let map = TaskStreamTests.stream("a", c, mapRank: rank, seed: 5).maps[layer]
        let maps = [TokenMap](repeating: map, count: c.layers)
        let plan = try TokenLossPlan(base, c, tokens: count, maps: [maps], KernelEngine())
        let pass = try TokenLossPass(plan)
        var noise = Noise(state: 3)
        let (tokens, targets) = (noise.values(count * d), noise.values(count * d))
        var gradient = [Float](repeating: 1, count: count * d)
        let value = try pass.evaluate(
            task: 0, layer: layer, tokens, targets, share: 0.5, addingTo: &gradient)
        let (keys, values) = try Self.weights(base, layer)
        func loss(_ row: Int, _ token: [Double]) -> Double {
            Self.loss(
                token, targets[row * d..<(row + 1) * d].map(Double.init), map, keys: keys, values: values)
                / Double(count)
        }
        let rows = (0..<count).map { tokens[$0 * d..<($0 + 1) * d].map(Double.init) }
        let expected = rows.indices.reduce(0) { $0 + loss($1, rows[$1]) }
        #expect(abs(value / expected - 1) < 1e-5)
        for index in stride(from: 0, to: count * d, by: 7) {
            let (row, channel, step) = (index / d, index % d, 1e-3)
            var (above, below) = (rows[row], rows[row])
            above[channel] += step
            below[channel] -= step
            let slope = 0.5 * (loss(row, above) - loss(row, below)) / (2 * step)
            #expect(abs(slope - Double(gradient[index] - 1)) < 2e-4 * max(1, abs(slope)), "\(index)")
        }
    }

    /// Along its gradient the loss changes by the gradient's square, through all blocks.
    @Test(arguments: families, [nil, 2]) func weightsGetTheGradientOfTheLoss(_ name: String, _ rank: Int?) throws {
        let scene = try Scene(name)
        let trained = try scene.tokens(rank: rank)
        let width = Double(scene.base.configuration.hiddenSize)
        func loss() throws -> Double {
            width * (try trained.gradients(scene.inputs, batch: scene.batch).reduce(0, +)) / 2
        }
        _ = try loss()
        let gradients = trained.tensors.map { Array($0.gradient.elements) }
        let starts = trained.tensors.map { Array($0.values.elements) }
        let square = gradients.joined().reduce(0) { $0 + Double($1) * Double($1) }
        #expect(trained.tensors.allSatisfy { !$0.name.hasPrefix("layers.\(scene.base.configuration.layers - 1).") })
        func moved(_ step: Double) throws -> Double {
            for (index, tensor) in trained.tensors.enumerated() {
                for place in starts[index].indices {
                    tensor.values.base[place] = starts[index][place] + Float(step) * gradients[index][place]
                }
            }
            try trained.refresh()
            return try loss()
        }
        let step = 0.01 / square.squareRoot()
        let slope = (try moved(step) - moved(-step)) / (2 * step)
        #expect(abs(slope / square - 1) < 1e-2, "\(slope) \(square)")
        #expect(gradients.allSatisfy { $0.contains { $0 != 0 } })
    }

    @Test func theSameBitsOnAnyNumberOfThreads() throws {
        let scene = try Scene("vit")
        let runs = try (1...3).map { threads in
            let trained = try scene.tokens(threads: threads)
            let losses = try trained.gradients(scene.inputs, batch: scene.batch)
            return (losses, trained.tensors.map { Array($0.gradient.elements) })
        }
        #expect(runs.allSatisfy { $0.0 == runs[0].0 && $0.1 == runs[0].1 })
    }
}
