import Compute
import Tensors

// What separates shared tokens from those of a task's single adapter, as far as its stream can tell: for a token x that
// a block's attention reads, y the single adapter's at the same position, and the task's token map of the block,
//
//     e = x + up (down x) + shift - y,        ‖e‖² = eᵀ G e,        G = WₖᵀWₖ / ‖Wₖ‖² + WᵥᵀWᵥ / ‖Wᵥ‖²
//
// with the base's keys and values, and G scaled to a mean diagonal of 1: an error counts as much as it changes the keys
// and values that are made of it. The gradient by x is 2 (G e + downᵀ (upᵀ G e)).

/// The kernels and operands of the loss, shared by all threads.
final class TokenLossPlan: Sendable {
    /// The kernels of a token map of some rank.
    struct MapKernels: Sendable {
        /// (N, D) to the rank.
        let down: Kernel
        /// From the rank, added.
        let up: Kernel
        /// The gradient by `up`'s result to the rank.
        let upBackward: Kernel
        /// From the rank to the gradient by `down`'s argument, added.
        let downBackward: Kernel

        var all: [Kernel] { [down, up, upBackward, downBackward] }
    }

    /// A token map's factors as operands.
    struct Map: Sendable {
        let rank: Int
        let down, up, shift: FloatBuffer

        init(_ map: TokenMap) {
            rank = map.change.rank
            (down, up) = (FloatBuffer(map.change.down.values), FloatBuffer(map.change.up.values))
            shift = FloatBuffer(map.shift)
        }
    }

    /// The tokens of an image that streams read, N: all but CLS.
    let tokens: Int
    let width: Int
    /// G of each block but the first.
    let metrics: [PackedLinear]
    /// The maps of each task, of each block but the first.
    let maps: [[Map]]
    let kernels: [Int: MapKernels]

    /// - Parameter maps: the maps of all blocks, of each task.
    init(
        _ base: some ParameterSource, _ c: BackboneConfiguration, tokens: Int, maps: [[TokenMap]],
        _ engine: KernelEngine
    ) throws {
        let (d, loader) = (c.hiddenSize, WeightLoader(source: base, configuration: c))
        (self.tokens, width) = (tokens, d)
        let metric = try Kernel.linear(engine, rows: tokens, inputs: d, outputs: d, hasBias: false)
        metrics = try (1..<c.layers).map { layer in
            let weights = try loader.attentionInput(layer)
            return try PackedLinear(
                LinearWeights(weight: Self.metric(weights, width: d).values.map { Float($0) }, bias: []), metric)
        }
        self.maps = maps.map { $0.dropFirst().map(Map.init) }
        var kernels: [Int: MapKernels] = [:]
        for rank in Set(self.maps.joined().map(\.rank)) where rank > 0 {
            func product(
                _ k: Int, _ n: Int, otherStride: Int, transposed: Bool, accumulates: Bool = false
            ) throws -> Kernel {
                try Kernel.product(
                    engine, m: tokens, k: k, n: n, sourceStride: k, otherStride: otherStride, transposed: transposed,
                    outputStride: n, accumulates: accumulates)
            }
            kernels[rank] = MapKernels(
                down: try product(d, rank, otherStride: d, transposed: true),
                up: try product(rank, d, otherStride: rank, transposed: true, accumulates: true),
                upBackward: try product(d, rank, otherStride: rank, transposed: false),
                downBackward: try product(rank, d, otherStride: d, transposed: false, accumulates: true))
        }
        self.kernels = kernels
    }

    /// G of a block from its queries, keys and values as one layer.
    static func metric(_ weights: LinearWeights, width d: Int) -> Matrix {
        let parts = (1...2).map { number in
            let weight = weights.outputs(number * d..<(number + 1) * d).weight
            let matrix = Matrix(rows: d, columns: d, values: weight.map(Double.init))
            let product = Matrix.product(matrix, transposed: true, matrix)
            let trace = (0..<d).reduce(0) { $0 + product[$1, $1] }
            return (Double(d) / 2 / max(trace, 1e-300)) * product
        }
        return parts[0] + parts[1]
    }

    /// The largest scratch memory that a kernel needs, in elements.
    var scratchCount: Int {
        (metrics.map(\.kernel) + kernels.values.flatMap(\.all)).map(\.scratchCount).max() ?? 0
    }
}

/// One thread's calls for the loss.
final class TokenLossPass {
    /// The calls of a task's map.
    private struct MapCalls { let down, up, upBackward, downBackward: KernelCall }

    private let plan: TokenLossPlan
    /// e, then e in the metric and the gradient, (N, D) each.
    private let error, weighted: FloatBuffer
    private let metrics: [KernelCall]
    /// Of each task and block; nil where the map's linear part is the identity.
    private let maps: [[MapCalls?]]

    init(_ plan: TokenLossPlan) throws {
        self.plan = plan
        let count = plan.tokens * plan.width
        let (error, weighted) = (FloatBuffer(count: count), FloatBuffer(count: count))
        let low = FloatBuffer(count: plan.tokens * (plan.kernels.keys.max() ?? 0))
        let scratch = FloatBuffer(count: plan.scratchCount)
        (self.error, self.weighted) = (error, weighted)
        metrics = try plan.metrics.map { try $0.call(Operand(error), Operand(weighted), scratch: scratch) }
        maps = try plan.maps.map { maps in
            try maps.map { map in
                guard let kernels = plan.kernels[map.rank] else { return nil }
                func call(
                    _ kernel: Kernel, _ source: FloatBuffer, _ other: FloatBuffer, _ result: FloatBuffer
                ) throws -> KernelCall {
                    try KernelCall(
                        kernel, source: Operand(source), weights: Operand(other), destination: Operand(result),
                        scratch: scratch)
                }
                return MapCalls(
                    down: try call(kernels.down, error, map.down, low), up: try call(kernels.up, low, map.up, error),
                    upBackward: try call(kernels.upBackward, weighted, map.up, low),
                    downBackward: try call(kernels.downBackward, low, map.down, weighted))
            }
        }
    }

    /// The loss of an image's tokens in a block: the mean of ‖e‖² over them.
    ///
    /// - Parameters:
    ///   - task: whose map it is.
    ///   - layer: the block, not the first.
    ///   - tokens: the shared tokens, (N, D).
    ///   - targets: the single adapter's, (N, D).
    ///   - share: what the gradient is multiplied by.
    ///   - gradient: the gradient by the shared tokens is added to it, (N, D).
    func evaluate(
        task: Int, layer: Int, _ tokens: UnsafePointer<Float>, _ targets: UnsafePointer<Float>, share: Double,
        addingTo gradient: UnsafeMutablePointer<Float>
    ) throws -> Double {
        let (map, calls) = (plan.maps[task][layer - 1], maps[task][layer - 1])
        let (width, count) = (plan.width, plan.tokens * plan.width)
        error.base.update(from: tokens, count: count)
        if let calls {
            try calls.down.run()
            try calls.up.run()
        }
        RowKernels.add(targets, times: -1, to: error.base, count: count)
        for row in 0..<plan.tokens { RowKernels.add(map.shift.base, to: error.base + row * width, count: width) }
        try metrics[layer - 1].run()
        let loss = (0..<plan.tokens).reduce(0.0) { sum, row in
            sum + Double(RowKernels.dot(error.base + row * width, weighted.base + row * width, count: width))
        }
        if let calls {
            try calls.upBackward.run()
            try calls.downBackward.run()
        }
        RowKernels.add(weighted.base, times: Float(2 * share / Double(plan.tokens)), to: gradient, count: count)
        return loss / Double(plan.tokens)
    }
}
