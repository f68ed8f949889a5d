package import Compute
import Tensors
import VisionTransformers

extension MergeTuner {
    /// Σ xᵀx / n of what each adapted module reads when a task's single adapter sees the task's images, by module.
    ///
    /// Forward passes only; the sums are kept for each layer, so memory does not grow with the number of images. Images are
    /// computed in parallel, then the sums of the places are added to in parallel, each by one thread in the order of the
    /// images: the bits are the same on any number of threads.
    ///
    /// - Parameter modules: the modules that are wanted, by canonical name; those outside the blocks are left out.
    /// - Throws: `ModelError`, `ComputeError`.
    package func inputMoments(of task: String, modules: Set<String>) throws -> [String: Matrix] {
        let (model, images) = try singleModel(task)
        let tokens = model.hiddenShape[0]
        let keys = Self.keys(of: modules, layers: base.configuration.layers)
        let numbers = Dictionary(uniqueKeysWithValues: keys.enumerated().map { ($1, $0) })
        let sums = keys.map { GramMatrix(size: $0.site.columns(base.configuration)) }
        let pool = try WorkerPool(workers: threads)
        let seen = (0..<model.workers).map { _ in
            keys.map { FloatBuffer(count: tokens * $0.site.columns(base.configuration)) }
        }
        try BLASThreads.single {
            try images.forEachBatch(model, batch: model.workers) { patches, count in
                try model.observe(patches, images: count) { image, layer, site, values, _, _ in
                    guard let number = numbers[Key(layer: layer, site: site)] else { return }
                    let inputs = seen[image][number]
                    inputs.base.update(from: values, count: inputs.count)
                }
                pool.forEach(keys.count) { _, number in
                    for image in 0..<count { sums[number].add(seen[image][number].base, rows: tokens) }
                }
            }
        }
        var moments: [String: Matrix] = [:]
        for (key, sum) in zip(keys, sums) {
            let moment = (1 / Double(max(sum.rows, 1))) * sum.matrix
            for module in key.site.modules { moments["layers.\(key.layer).\(module)"] = moment }
        }
        return moments
    }

    /// A site of a block.
    private struct Key: Hashable {
        let layer: Int
        let site: LayerSite
    }

    private static func keys(of modules: Set<String>, layers: Int) -> [Key] {
        (0..<layers).flatMap { layer in
            LayerSite.allCases.filter { site in
                site.modules.contains { modules.contains("layers.\(layer).\($0)") }
            }.map { Key(layer: layer, site: $0) }
        }
    }
}
