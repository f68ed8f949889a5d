import Compute
import Files
import Images
import Tensors

/// The weights of a pass over task streams but the heads': those of the base, and of each stream. Each part is mapped
/// if an earlier run has packed it, or else packed.
struct StreamWeights {
    let base: StreamBaseWeights
    /// Of each stream, block by block.
    let streams: [[StreamChanges]]
    /// The largest scratch memory of the streams' kernels, in elements.
    let scratchCount: Int
    /// What had to be packed and can be kept.
    private(set) var packed: [(packed: PackedWeights, layout: PackedLayout)] = []
    /// The tasks whose streams had to be packed, and nil for the base.
    private(set) var packedParts: [String?] = []

    /// Packs or maps all parts.
    ///
    /// - Parameter loader: reads the base.
    /// - Throws: `ModelError`, `FileError` or `ComputeError`.
    init(
        _ loader: WeightLoader, _ streams: [TaskStream], _ kernels: StreamKernels, imageSize: ImageSize,
        cache: PackedCache?, _ pool: WorkerPool
    ) throws {
        let layers = loader.configuration.layers
        let planned = try streams.map { stream in
            try (0..<layers).map { try StreamChangeKernels(stream, layer: $0, kernels) }
        }
        scratchCount = planned.joined().map(\.scratchCount).max() ?? 0
        /// The part that an earlier run has left, if it is as the kernels need it.
        func mapped<Part>(_ layout: PackedLayout?, _ body: (PackedWeights) throws -> Part) -> Part? {
            layout.flatMap { cache?.weights(for: $0, pool) }.flatMap { try? body($0) }
        }
        func changes(
            of stream: Int, _ weights: (Int) -> BlockWeights
        ) throws -> [(StreamChanges, PackedWeights)] {
            try (0..<layers).map { layer in
                let weights = weights(layer)
                return (try StreamChanges(planned[stream][layer], streams[stream], weights), weights.packed)
            }
        }
        let baseLayout = cache.flatMap { _ in PackedLayout(streams: kernels) }
        let layouts = zip(streams, planned).map { stream, planned in
            cache.flatMap { _ in PackedLayout(stream: stream, planned, kernels.shape.type) }
        }
        let mappedBase = mapped(baseLayout) { try StreamBaseWeights($0, kernels) }
        let mappedStreams = streams.indices.map { stream in
            mapped(layouts[stream]) { packed in
                try changes(of: stream) { BlockWeights(packed, layer: $0) }.map(\.0)
            }
        }
        let missing = streams.indices.filter { mappedStreams[$0] == nil }
        let counter = LongWork.Counter(
            "preparing streams", of: missing.count + (mappedBase == nil ? layers : 0))
        base = try mappedBase ?? StreamBaseWeights(loader, kernels, imageSize: imageSize, counter, pool)
        let made = try pool.map(missing.count) { index in
            try counter.check()
            defer { counter.count() }
            return try changes(of: missing[index]) { BlockWeights(loader, nil, layer: $0) }
        }
        var parts = mappedStreams
        for (stream, made) in zip(missing, made) { parts[stream] = made.map(\.0) }
        self.streams = parts.compactMap(\.self)
        if mappedBase == nil {
            packedParts.append(nil)
            if let baseLayout { packed.append((base.packed, baseLayout)) }
        }
        for (stream, made) in zip(missing, made) {
            packedParts.append(streams[stream].task)
            guard let layout = layouts[stream] else { continue }
            var all = PackedWeights()
            for (_, weights) in made { all.add(weights) }
            packed.append((all, layout))
        }
    }
}

/// The base's weights as streams read them.
struct StreamBaseWeights {
    /// CLS with its position.
    let cls: FloatBuffer
    let finalNorm: LayerNorm
    let blocks: [StreamBlock]
    /// The same weights by name.
    let packed: PackedWeights

    private static let clsName = "cls"
    private static let finalNormName = "layernorm"

    /// Weights that are packed already.
    ///
    /// - Throws: `ModelError` when a weight is missing or does not have the size that its kernel wants.
    init(_ packed: PackedWeights, _ kernels: StreamKernels) throws {
        let c = kernels.shape.configuration
        self.packed = packed
        cls = try packed.buffer(Self.clsName, count: c.hiddenSize)
        finalNorm = try packed.norm(Self.finalNormName, width: c.hiddenSize)
        blocks = try (0..<c.layers).map { try StreamBlock(kernels, BlockWeights(packed, layer: $0)) }
    }

    /// Loads and packs the weights, blocks in parallel.
    ///
    /// - Throws: `ModelError`, `FileError` or `ComputeError`.
    init(
        _ loader: WeightLoader, _ kernels: StreamKernels, imageSize: ImageSize, _ counter: LongWork.Counter,
        _ pool: WorkerPool
    ) throws {
        let c = kernels.shape.configuration
        cls = try loader.initialCLS(for: imageSize)
        finalNorm = try loader.norm(Self.finalNormName)
        let parts = try pool.map(c.layers) { layer in
            try counter.check()
            defer { counter.count() }
            let weights = BlockWeights(loader, nil, layer: layer)
            return (block: try StreamBlock(kernels, weights), packed: weights.packed)
        }
        blocks = parts.map(\.block)
        var packed = PackedWeights()
        packed.add(Self.clsName, cls)
        packed.add(Self.finalNormName, finalNorm)
        for part in parts { packed.add(part.packed) }
        self.packed = packed
    }
}

extension PackedLayout {
    /// The layout of the base as task streams read it.
    fileprivate init?(streams kernels: StreamKernels) {
        let type = "\(kernels.shape.type)"
        self.init(format: type, part: .streams, "\(type), streams", kernels.linearKernels)
    }

    /// The layout of one task's stream.
    fileprivate init?(stream: TaskStream, _ kernels: [StreamChangeKernels], _ type: OperandType) {
        self.init(
            format: "\(type)", part: .stream(task: stream.task),
            "\(type), stream of \(stream.task): " + kernels.map(\.description).joined(separator: ", "),
            kernels.flatMap(\.linearKernels))
    }
}
