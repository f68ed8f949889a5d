package import Compute
import Tensors

/// Collects what layers read while a model computes batches of images, to add up statistics of it.
package final class LayerInputCollector {
    /// The layers of one site of one block.
    package struct Key: Hashable, Sendable {
        package let layer: Int
        package let site: LayerSite

        package init(layer: Int, site: LayerSite) { (self.layer, self.site) = (layer, site) }
    }

    private let model: MultitaskModel
    private let indices: [Key: Int]
    /// For each key the rows of a batch.
    private let inputs: [FloatBuffer]
    /// Rows of one image.
    private let tokens: Int

    /// Takes memory for batches of at most `images` images.
    ///
    /// - Parameter model: planned to give all tokens, in f32 or bf16.
    package init(_ model: MultitaskModel, _ keys: [Key], images: Int) {
        self.model = model
        let tokens = model.hiddenShape[0]
        self.tokens = tokens
        indices = Dictionary(uniqueKeysWithValues: keys.enumerated().map { ($1, $0) })
        inputs = keys.map { FloatBuffer(count: images * tokens * $0.site.columns(model.configuration)) }
    }

    /// The rows of each key in the last batch, (images, rows, channels).
    package var rows: [UnsafePointer<Float>] { inputs.map { UnsafePointer($0.base) } }

    /// Computes a batch, images in parallel, then hands over each key's rows, keys in parallel. One thread has all rows
    /// of a key, in the order of the images: sums have the same bits on any number of threads.
    ///
    /// - Parameters:
    ///   - patches: (images, inputCount).
    ///   - features: receives (images, featureCount), the vectors that heads read, or nil.
    ///   - pool: hands over the rows, with single-threaded BLAS.
    ///   - body: receives the index of a key and its rows, (images, rows, channels).
    /// - Throws: as `MultitaskModel.observe`.
    package func collect(
        _ patches: UnsafePointer<Float>, images: Int, features: UnsafeMutablePointer<Float>? = nil,
        _ pool: WorkerPool, _ body: (_ key: Int, _ values: UnsafePointer<Float>, _ rows: Int) -> Void
    ) throws {
        try model.observe(patches, images: images, features: features) {
            [indices, inputs] image, layer, site, values, rows, columns in
            guard let index = indices[Key(layer: layer, site: site)] else { return }
            (inputs[index].base + image * rows * columns).update(from: values, count: rows * columns)
        }
        BLASThreads.single {
            pool.forEach(inputs.count) { _, index in body(index, inputs[index].base, tokens) }
        }
    }
}
