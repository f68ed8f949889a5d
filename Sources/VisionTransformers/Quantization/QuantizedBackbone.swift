import Compute
import Files
import Tensors

/// A backbone's blocks rounded to eight bits, each layer so that its results change least on inputs like those of some images.
package struct BackboneRounding: Sendable {
    /// A rounded part of a block.
    struct Part<Rounded: Sendable>: Sendable {
        let layer: Int
        let rounded: Rounded
        /// Of what it was rounded from.
        let checksum: UInt64
    }

    private(set) var attention: [Part<RoundedAttention>] = []
    private(set) var mlp: [Part<RoundedMLP>] = []

    /// How many blocks are rounded at the same time: each takes a few matrices of the MLP's width in double precision.
    private static let mostAtATime = 8
    /// What moments may take at a time; more blocks than fit are measured in several passes over the images.
    private static let largestMoments = 2 << 30

    /// Measures a backbone over images and rounds it. The same bits on any number of threads.
    ///
    /// - Parameters:
    ///   - source: the backbone.
    ///   - imageSize: what preprocessing gives.
    ///   - images: how many there are; at least one.
    ///   - threads: how many images are computed, and blocks rounded, at the same time.
    ///   - prepare: writes the patches of an image.
    /// - Throws: `ModelError` without images or when the size does not fit; `FileError`, `ComputeError`.
    package init(
        _ source: some ParameterSource, configuration: BackboneConfiguration,
        imageSize: BackboneConfiguration.Extent, images: Int, threads: Int,
        prepare: (_ image: Int, _ patches: UnsafeMutableBufferPointer<Float>) throws -> Void
    ) throws {
        guard images > 0 else { throw ModelError("calibration images", "expected at least one, found none") }
        let pool = try WorkerPool(workers: threads)
        let model = try MultitaskModel(
            source, configuration: configuration, heads: [], imageSize: imageSize, pool: pool, givesAllTokens: true)
        let rounders = try WorkerPool(workers: min(threads, Self.mostAtATime))
        let loader = PlanLoader(source: source, configuration: configuration)
        let atATime = max(Self.largestMoments / BlockMoments.byteCount(configuration), 1)
        for first in stride(from: 0, to: configuration.layers, by: atATime) {
            let layers = first..<min(first + atATime, configuration.layers)
            let moments = try model.moments(of: layers, images: images, pool, prepare: prepare)
            // Parts by themselves, so that few blocks keep all threads busy.
            let (attentions, mlps) = (BlockPart.attention.rounded(layers), BlockPart.mlp.rounded(layers))
            let counter = LongWork.Counter("rounding layers", of: attentions.count + mlps.count)
            try BLASThreads.single {
                attention += try rounders.map(attentions) { layer in
                    try counter.check()
                    defer { counter.count() }
                    let (plain, own) = (try loader.plainAttention(layer), moments[layer - layers.lowerBound])
                    return Part(
                        layer: layer,
                        rounded: try RoundedAttention(plain, read: own.attentionInput, attended: own.attentionOutput),
                        checksum: plain.checksum)
                }
                mlp += try rounders.map(mlps) { layer in
                    try counter.check()
                    defer { counter.count() }
                    let (plain, own) = (try loader.plainMLP(layer), moments[layer - layers.lowerBound])
                    return Part(
                        layer: layer, rounded: try RoundedMLP(plain, read: own.mlpInput, hidden: own.mlpHidden),
                        checksum: plain.checksum)
                }
            }
        }
    }
}

extension BlockPart {
    /// The blocks in which it is rounded once it is calibrated.
    fileprivate func rounded(_ layers: Range<Int>) -> [Int] { layers.filter { isRounded(in: $0, isCalibrated: true) } }
}

extension WorkerPool {
    /// `map` over elements.
    fileprivate func map<Element, Value>(_ elements: [Element], _ body: (Element) throws -> Value) throws -> [Value] {
        try map(elements.count) { try body(elements[$0]) }
    }
}
