import Compute
import Files
import Tensors
package import VisionTransformers

/// Makes the streams of tasks over a backbone that computes the patch tokens: each task's own adapter, unmerged, and
/// token maps that are fitted to its single adapter on unlabelled images.
package struct StreamFitter {
    private let tuner: MergeTuner
    private let settings: StreamSettings

    /// A fitter on the images of a tuner.
    package init(_ tuner: MergeTuner, _ settings: StreamSettings) { (self.tuner, self.settings) = (tuner, settings) }

    /// The streams of a merge's tasks, in the order of its adapters.
    ///
    /// - Throws: `ModelError` naming an adapter whose changes are not all of low rank and of linear layers of blocks;
    ///   `FileError`, `ComputeError`.
    package func streams(over merged: MergedBackbone) throws -> [TaskStream] {
        let unfitted = try merged.adapters.map { try TaskStream($0.adapter, over: tuner.base) }
        let patches = try MultitaskModel(
            merged, configuration: tuner.base.configuration, imageSize: tuner.imageSize,
            passes: tuner.passes, outputs: .allTokens)
        return try unfitted.enumerated().map { index, stream in
            try LongWork.part("fitting streams", index, of: unfitted.count) {
                TaskStream(
                    task: stream.task, changes: stream.changes,
                    maps: try maps(of: stream, patches))
            }
        }
    }

    private func maps(of stream: TaskStream, _ patches: MultitaskModel) throws -> [TokenMap] {
        let (single, images) = try tuner.singleModel(stream.task)
        let c = tuner.base.configuration
        let features = FloatBuffer(count: images.count * single.featureCount)
        let fitted = try moments(images, heldOut: false, patches, single, features)
        let heldOut = try moments(images, heldOut: true, patches, single, features)
        try tuner.keep(
            FeatureTable(rows: images.count, width: single.featureCount, values: Array(features.elements)),
            of: stream.task)
        // The first block reads the same tokens for every task.
        return try (0..<c.layers).map { layer in
            try LongWork.part("solving blocks", layer, of: c.layers) {
                let attention = "layers.\(layer).attention"
                let weights = try ["k_proj", "v_proj"].map { name in
                    try tuner.base.parameter("\(attention).\(name).weight").adding(
                        stream.changes["\(attention).\(name)"])
                }
                return try TokenMapFit(key: weights[0], value: weights[1]).map(
                    fitted[layer], heldOut[layer], rank: settings.rank
                ).map
            }
        }
    }

    /// The moments of what each block's attention reads of patches, shared and by the task's single adapter.
    ///
    /// - Parameter features: receives what the single adapter's head reads of these images, in their places.
    private func moments(
        _ images: CalibrationImages, heldOut: Bool, _ patches: MultitaskModel, _ single: MultitaskModel,
        _ features: FloatBuffer
    ) throws -> [RegressionMoments.Summary] {
        let c = tuner.base.configuration
        let keys = (0..<c.layers).map { LayerInputCollector.Key(layer: $0, site: .attentionInput) }
        let sums = keys.map { _ in RegressionMoments(size: c.hiddenSize) }
        let pool = try WorkerPool(workers: tuner.passes.threads)
        let shared = LayerInputCollector(patches, keys, images: patches.workers)
        let own = LayerInputCollector(single, keys, images: single.workers)
        let indices = images.indices(heldOut: heldOut)
        let width = c.hiddenSize
        let read = FloatBuffer(count: single.workers * single.featureCount)
        try BLASThreads.single {
            try ImageBatches(indices.count, size: patches.workers, inputCount: patches.inputCount).forEach(
                reporting: heldOut ? "computing held-out images" : "computing images",
                prepare: { images.prepare(indices[$0], $1) }
            ) { batch, inputs in
                var targets: [UnsafePointer<Float>] = []
                try own.collect(inputs, images: batch.count, features: read.base, pool) { _, _, _ in }
                for (place, index) in indices[batch].enumerated() {
                    (features.base + index * single.featureCount).update(
                        from: read.base + place * single.featureCount, count: single.featureCount)
                }
                targets = own.rows
                try shared.collect(inputs, images: batch.count, pool) { key, values, rows in
                    for image in 0..<batch.count {
                        // All tokens but CLS.
                        let start = (image * rows + 1) * width
                        sums[key].add(values + start, targets[key] + start, rows: rows - 1)
                    }
                }
            }
        }
        return sums.map(\.summary)
    }
}

extension TaskStream {
    /// The stream of an adapter before its token maps are fitted.
    ///
    /// - Throws: `ModelError` naming a change that a stream cannot make.
    package init(_ adapter: Adapter, over base: Checkpoint) throws {
        let c = base.configuration
        try c.checkStreams(path: base.folder)
        var changes: [String: LowRankChange] = [:]
        for (name, delta) in try adapter.deltas(of: base, weight: 1).deltas where !delta.isZero {
            let module = String(name.dropLast(".weight".count))
            guard name.hasSuffix(".weight"), c.linearShape(of: module) != nil else {
                throw ModelError(
                    adapter.path, "changes \(name), which task streams cannot: they change linear layers of blocks")
            }
            guard case .lowRank(let b, let a, let scale) = delta.storage else {
                throw ModelError(
                    adapter.path,
                    "changes \(name) by more than a low-rank update (DoRA, or trained whole), which task streams cannot"
                )
            }
            changes[module] = LowRankChange(
                down: Tensor(shape: [a.rows, a.columns], values: a.values.map { Float($0) }),
                up: Tensor(shape: [b.rows, b.columns], values: b.values.map { Float($0 * scale) }))
        }
        self.init(
            task: adapter.task, changes: changes,
            maps: (0..<c.layers).map { _ in TokenMap.identity(width: c.hiddenSize) })
    }
}

extension Tensor {
    /// The weight of a linear layer with a low-rank change.
    fileprivate func adding(_ change: LowRankChange?) -> Tensor {
        guard let change else { return self }
        func matrix(_ tensor: Tensor) -> Matrix {
            Matrix(rows: tensor.shape[0], columns: tensor.shape[1], values: tensor.values.map(Double.init))
        }
        let delta = matrix(change.up) * matrix(change.down)
        return Tensor(shape: shape, values: zip(values, delta.values).map { Float(Double($0) + $1) })
    }
}
