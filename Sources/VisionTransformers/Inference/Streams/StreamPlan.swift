import Compute
import Files
import Tensors

/// Everything of a pass over task streams that does not change from image to image. Shared by all threads.
final class StreamPlan: Sendable {
    let shape: StreamShape
    /// CLS with its position.
    let cls: FloatBuffer
    /// Of each block.
    let contextNormKernels: [LayerNormKernel]
    let blocks: [StreamBlock]
    /// What each stream changes, block by block.
    let changes: [[StreamChanges]]
    let finalNorm: LayerNorm
    let finalNormKernel: Kernel
    /// The head of each stream: features of its rows to its logits.
    let heads: [PackedLinear]
    /// The first logit of each head, and the number of all.
    let offsets: [Int]
    let classes: Int
    let scratchCount: Int
    /// The largest rank of a change or a map.
    let rank: Int
    /// Multiplications and additions of one image's matrix products.
    let operations: Double
    /// The tasks whose streams had to be packed, and nil for the base: all but those that an earlier run has left.
    let packedParts: [String?]
    /// Writes what had to be packed for the next run; waited for when the plan goes.
    private let writer: PackedWriter?

    /// The normalization before each block's attention, which the shared tokens pass too.
    var contextNorms: [LayerNorm] { blocks.map(\.norm1) }

    /// Plans the kernels and packs the weights, blocks in parallel on the pool, or maps those that an earlier run has
    /// packed: the base, and each stream by itself, whichever streams that run computed.
    ///
    /// - Throws: `ModelError`, `FileError` or `ComputeError`.
    init(
        _ forward: ForwardShape, heads: [Head], _ streams: TaskStreams, cache: PackedCache? = nil,
        _ engine: KernelEngine, _ pool: WorkerPool
    ) throws {
        let (c, type) = (forward.configuration, forward.precision.operandType)
        let shape = try StreamShape(
            c, streams: streams.streams.count,
            contexts: (0..<c.layers).map { forward.tokens(before: $0) - 1 }, type, engine)
        let kernels = try StreamKernels(engine, shape)
        let loader = WeightLoader(source: streams.base, configuration: c)
        self.shape = shape
        let d = c.hiddenSize
        let weights = try StreamWeights(
            loader, streams.streams, kernels, imageSize: forward.imageSize, cache: cache, pool)
        (cls, finalNorm, blocks) = (weights.base.cls, weights.base.finalNorm, weights.base.blocks)
        changes = (0..<c.layers).map { layer in weights.streams.map { $0[layer] } }
        packedParts = weights.packedParts
        writer = cache?.write(weights.packed)
        finalNormKernel = kernels.norm
        contextNormKernels = try shape.byContext { try LayerNormKernel(engine, c, rows: $0.tokens + 1, type) }
        self.heads = try heads.map { head in
            guard head.weight.shape[1] == d else {
                throw ModelError(
                    head.task, "the head reads \(head.weight.shape[1]) features, a task stream gives \(d)")
            }
            let kernel = try Kernel.linear(engine, rows: 1, inputs: d, outputs: head.classes.count)
            return try PackedLinear(LinearWeights(weight: head.weight.values, bias: head.bias.values), kernel)
        }
        var (start, offsets) = (0, [Int]())
        for head in heads {
            offsets.append(start)
            start += head.classes.count
        }
        (self.offsets, classes) = (offsets, start)
        let others = kernels.linearKernels + kernels.otherKernels + contextNormKernels.flatMap(\.kernels)
        scratchCount =
            ([weights.scratchCount] + others.map(\.scratchCount) + self.heads.map(\.kernel.scratchCount)).max() ?? 0
        rank =
            streams.streams.flatMap { $0.changes.values.map(\.rank) + $0.maps.map(\.change.rank) }.max() ?? 0
        operations = shape.operations(streams.streams) + 2 * Double(d * start)
    }
}

/// One thread's pass over task streams, for groups of images.
final class StreamPass {
    private let plan: StreamPlan
    private let buffers: StreamBuffers
    private let blocks: [StreamBlock.Bound]
    private let finalNorm: KernelCall
    /// Of each image, and of each stream.
    private let heads: [[KernelCall]]
    private let logits: FloatBuffer

    init(_ plan: StreamPlan) throws {
        self.plan = plan
        let buffers = StreamBuffers(
            plan.shape, rank: plan.rank, scratchCount: plan.scratchCount)
        self.buffers = buffers
        blocks = try zip(plan.blocks, plan.changes).map { try $0.bind($1, buffers) }
        finalNorm = try plan.finalNorm.call(
            plan.finalNormKernel, buffers.tokens, .f32(buffers.features), scratch: buffers.scratch)
        let d = plan.shape.configuration.hiddenSize
        let logits = FloatBuffer(count: plan.shape.groupSize * plan.classes)
        self.logits = logits
        heads = try (0..<plan.shape.groupSize).map { image in
            try plan.heads.enumerated().map { stream, head in
                try head.call(
                    Operand(buffers.features, offset: (stream * plan.shape.groupSize + image) * d),
                    Operand(logits, offset: image * plan.classes + plan.offsets[stream]), scratch: buffers.scratch)
            }
        }
    }

    /// Records the tokens that the streams of an image of the group read in a block: normalized rows of all tokens,
    /// CLS first, and their sizes if tokens are merged.
    func record(_ normalized: NumberBuffer, _ sizes: TokenSizes?, image: Int, layer: Int) {
        let (shape, d) = (plan.shape, plan.shape.configuration.hiddenSize)
        let tokens = shape.contexts[layer].tokens
        buffers.context.copy(
            d..<(tokens + 1) * d, of: normalized,
            to: StreamBuffers.contextOffset(image: image, layer: layer, shape))
        guard let sizes, shape.mergesTokens else { return }
        buffers.sizeLogarithms(image: image, layer: layer, shape)
            .update(from: sizes.logarithms.base + 1, count: tokens)
    }

    /// Computes the streams of the images that are recorded.
    ///
    /// - Parameters:
    ///   - images: how many, at most a group.
    ///   - result: receives (images, C), or nil.
    ///   - features: receives (images, S · D), or nil.
    func run(
        images: Int, logits result: UnsafeMutablePointer<Float>?, features: UnsafeMutablePointer<Float>? = nil
    ) throws {
        let (shape, d) = (plan.shape, plan.shape.configuration.hiddenSize)
        for row in 0..<shape.rows { (buffers.tokens.base + row * d).update(from: plan.cls.base, count: d) }
        for block in blocks {
            for step in block.before { try step() }
            for image in block.images.prefix(images) { for step in image { try step() } }
            buffers.clearMixed(from: images, shape)
            for step in block.after { try step() }
        }
        try finalNorm.run()
        if let features {
            for image in 0..<images {
                for stream in 0..<shape.streams {
                    let row = buffers.features.base + (stream * shape.groupSize + image) * d
                    (features + (image * shape.streams + stream) * d).update(from: row, count: d)
                }
            }
        }
        guard let result else { return }
        for image in heads.prefix(images) { for head in image { try head.run() } }
        result.update(from: logits.base, count: images * plan.classes)
    }
}
