import Compute
import Files
import Tensors

/// Moments of what the linear layers of one block read.
struct BlockMoments {
    /// Before queries, keys and values; before attention's output layer.
    let attentionInput, attentionOutput: InputMoments
    /// Before the MLP's first layer, and before its second.
    let mlpInput, mlpHidden: InputMoments

    /// Moments of nothing yet.
    init(_ c: BackboneConfiguration) {
        func empty(_ place: LayerInput.Place) -> InputMoments { InputMoments(size: place.columns(c)) }
        (attentionInput, attentionOutput) = (empty(.attentionInput), empty(.attentionOutput))
        (mlpInput, mlpHidden) = (empty(.mlpInput), empty(.mlpHidden))
    }

    /// Of one place.
    subscript(place: LayerInput.Place) -> InputMoments {
        switch place {
        case .attentionInput: attentionInput
        case .attentionOutput: attentionOutput
        case .mlpInput: mlpInput
        case .mlpHidden: mlpHidden
        }
    }

    /// Bytes that a block's take.
    static func byteCount(_ c: BackboneConfiguration) -> Int {
        LayerInput.Place.allCases.reduce(0) { $0 + $1.columns(c) * $1.columns(c) * MemoryLayout<Float>.size }
    }
}

extension LayerInput.Place {
    /// How many channels layers read here.
    package func columns(_ c: BackboneConfiguration) -> Int {
        self == .mlpHidden ? c.intermediateSize : c.hiddenSize
    }
}

extension MultitaskModel {
    /// What the inputs of the images that are added together may take.
    private static let largestInputs = 1 << 29

    /// Measures what the layers of some blocks read over images.
    ///
    /// Some images are computed in parallel, then each place is added to by one thread: the bits are the same on any number of threads.
    ///
    /// - Parameters:
    ///   - layers: the blocks.
    ///   - images: how many there are.
    ///   - pool: the model's own.
    ///   - prepare: writes the patches of an image.
    func moments(
        of layers: Range<Int>, images: Int, _ pool: WorkerPool,
        prepare: (_ image: Int, _ patches: UnsafeMutableBufferPointer<Float>) throws -> Void
    ) throws -> [BlockMoments] {
        let (tokens, c) = (hiddenShape[0], configuration)
        let moments = layers.map { _ in BlockMoments(c) }
        let places = layers.flatMap { layer in LayerInput.Place.allCases.map { (layer: layer, place: $0) } }
        let bytes = places.reduce(0) { $0 + tokens * $1.place.columns(c) * MemoryLayout<Float>.size }
        let batch = min(images, max(Self.largestInputs / bytes, 1))
        let seen = places.map { FloatBuffer(count: batch * tokens * $0.place.columns(c)) }
        let patches = FloatBuffer(count: batch * inputCount)
        for first in stride(from: 0, to: images, by: batch) {
            try LongWork.report("measuring images", first, of: images)
            let count = min(batch, images - first)
            for image in 0..<count {
                let own = UnsafeMutableBufferPointer(start: patches.base + image * inputCount, count: inputCount)
                try prepare(first + image, own)
            }
            try observe(patches.base, images: count) { image, layer, place, values, _, _ in
                guard let index = places.firstIndex(where: { $0.layer == layer && $0.place == place }) else { return }
                let size = seen[index].count / batch
                (seen[index].base + image * size).update(from: values, count: size)
            }
            BLASThreads.single {
                pool.forEach(places.count) { _, index in
                    let (layer, place) = places[index]
                    moments[layer - layers.lowerBound][place].add(seen[index].base, rows: count * tokens)
                }
            }
        }
        return moments
    }
}
