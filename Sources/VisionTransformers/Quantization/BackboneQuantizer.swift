import Compute
import Files
package import Images
import Tensors

extension QuantizedBackbone {
    /// The blocks that are quantized at the same time: each takes a few matrices of the MLP's width in double
    /// precision.
    private static let maximumConcurrentBlocks = 8
    /// The memory for moments, in bytes; more blocks than fit are measured in several passes over the images.
    private static let momentsMemory = 2 << 30

    /// Measures a backbone over images and quantizes each layer so that its results change least on inputs like theirs.
    /// The same bits on any number of threads.
    ///
    /// - Parameters:
    ///   - source: the backbone.
    ///   - imageSize: the size of the images, as preprocessing gives them.
    ///   - images: the number of images; at least one.
    ///   - threads: how many images are computed, and blocks quantized, at the same time.
    ///   - hasStreams: whether heads read task streams, before which the last block is not computed.
    ///   - prepare: writes the patches of an image.
    /// - Throws: `ModelError` without images or when the size does not fit; `FileError`, `ComputeError`.
    package init(
        _ source: some ParameterSource, configuration: BackboneConfiguration,
        imageSize: ImageSize, images: Int, threads: Int, hasStreams: Bool = false,
        prepare: (_ image: Int, _ patches: UnsafeMutableBufferPointer<Float>) throws -> Void
    ) throws {
        guard images > 0 else { throw ModelError("calibration images", "expected at least one, found none") }
        self.init()
        let pool = try WorkerPool(workers: threads)
        let settings = InferenceSettings(imageSize: imageSize, outputs: .allTokens)
        let model = try MultitaskModel(
            BackboneWeights(source), configuration: configuration, heads: [], settings, pool)
        let quantizers = try WorkerPool(workers: min(threads, Self.maximumConcurrentBlocks))
        let loader = WeightLoader(source: source, configuration: configuration)
        let blocksPerPass = max(Self.momentsMemory / BlockMoments.byteCount(configuration), 1)
        let blocks = configuration.layers - (hasStreams ? 1 : 0)
        for first in stride(from: 0, to: blocks, by: blocksPerPass) {
            let layers = first..<min(first + blocksPerPass, blocks)
            let moments = try model.moments(of: layers, images: images, pool, prepare: prepare)
            // One sublayer at a time, so that few blocks keep all threads busy.
            let counter = LongWork.Counter("rounding layers", of: 2 * layers.count)
            try BLASThreads.single {
                attention += try quantizers.map(layers) { layer in
                    try counter.check()
                    defer { counter.count() }
                    let (weights, inputs) = (try loader.attention(layer), moments[layer - layers.lowerBound])
                    return Part(
                        sublayer: BlockSublayer(layer: layer, .attention),
                        weights: try QuantizedAttention(
                            weights, input: inputs.attentionInput, output: inputs.attentionOutput),
                        checksum: weights.checksum)
                }
                mlp += try quantizers.map(layers) { layer in
                    try counter.check()
                    defer { counter.count() }
                    let (weights, inputs) = (try loader.mlp(layer), moments[layer - layers.lowerBound])
                    return Part(
                        sublayer: BlockSublayer(layer: layer, .mlp),
                        weights: try QuantizedMLP(weights, input: inputs.mlpInput, hidden: inputs.mlpHidden),
                        checksum: weights.checksum)
                }
            }
        }
    }
}

extension WorkerPool {
    /// `map` over numbers.
    fileprivate func map<Value>(_ numbers: Range<Int>, _ body: (Int) throws -> Value) throws -> [Value] {
        try map(numbers.count) { try body(numbers.lowerBound + $0) }
    }
}

/// Moments of the inputs of a block's linear layers.
private struct BlockMoments {
    /// Before queries, keys and values; before attention's output layer.
    let attentionInput, attentionOutput: InputMoments
    /// Before the MLP's first layer, and before its second.
    let mlpInput, mlpHidden: InputMoments

    /// Moments of nothing yet.
    init(_ c: BackboneConfiguration) {
        func empty(_ site: LayerSite) -> InputMoments { InputMoments(size: site.columns(c)) }
        (attentionInput, attentionOutput) = (empty(.attentionInput), empty(.attentionOutput))
        (mlpInput, mlpHidden) = (empty(.mlpInput), empty(.mlpHidden))
    }

    /// The moments of one site.
    subscript(site: LayerSite) -> InputMoments {
        switch site {
        case .attentionInput: attentionInput
        case .attentionOutput: attentionOutput
        case .mlpInput: mlpInput
        case .mlpHidden: mlpHidden
        }
    }

    /// The memory of one block's moments, in bytes.
    static func byteCount(_ c: BackboneConfiguration) -> Int {
        LayerSite.allCases.reduce(0) { $0 + $1.columns(c) * $1.columns(c) * MemoryLayout<Float>.size }
    }
}

extension MultitaskModel {
    /// The memory for the inputs of the images that are added together, in bytes.
    private static let inputsMemory = 1 << 29

    /// Measures the inputs of some blocks' layers over images.
    ///
    /// A few images are computed in parallel, then one thread adds up each site: the bits are the same on any number of
    /// threads.
    ///
    /// - Parameters:
    ///   - layers: the blocks.
    ///   - images: the number of images.
    ///   - pool: the model's own.
    ///   - prepare: writes the patches of an image.
    fileprivate func moments(
        of layers: Range<Int>, images: Int, _ pool: WorkerPool,
        prepare: (_ image: Int, _ patches: UnsafeMutableBufferPointer<Float>) throws -> Void
    ) throws -> [BlockMoments] {
        let (tokens, c) = (hiddenShape[0], configuration)
        let moments = layers.map { _ in BlockMoments(c) }
        let keys = layers.flatMap { layer in
            LayerSite.allCases.map { LayerInputCollector.Key(layer: layer, site: $0) }
        }
        let bytes = keys.reduce(0) { $0 + tokens * $1.site.columns(c) * MemoryLayout<Float>.size }
        let batch = min(images, max(Self.inputsMemory / bytes, 1))
        let collector = LayerInputCollector(self, keys, images: batch)
        let batches = ImageBatches(images, size: batch, inputCount: inputCount)
        try batches.forEach(reporting: "measuring images", prepare: prepare) { batch, patches in
            try collector.collect(patches, images: batch.count, pool) { index, values, rows in
                let key = keys[index]
                moments[key.layer - layers.lowerBound][key.site].add(values, rows: batch.count * rows)
            }
        }
        return moments
    }
}
