package import Compute
import Tensors
import VisionTransformers

extension MergeTuner {
    /// Σ xᵀx / n of what each adapted module reads when a task's single adapter sees the task's images, by module.
    ///
    /// Forward passes only; one sum per layer, so memory does not grow with the number of images. The bits are the same
    /// on any number of threads (see `LayerInputCollector`).
    ///
    /// - Parameter modules: the modules that are wanted, by canonical name; those outside the blocks are left out.
    /// - Throws: `ModelError`, `ComputeError`.
    package func inputMoments(of task: String, modules: Set<String>) throws -> [String: Matrix] {
        let (model, images) = try singleModel(task)
        let keys = Self.keys(of: modules, layers: base.configuration.layers)
        let sums = keys.map { GramMatrix(size: $0.site.columns(base.configuration)) }
        let pool = try WorkerPool(workers: passes.threads)
        let collector = LayerInputCollector(model, keys, images: model.workers)
        let (width, features) = (model.featureCount, FloatBuffer(count: images.count * model.featureCount))
        // Around the loop, so that the number of BLAS's threads changes once.
        try BLASThreads.single {
            let batches = ImageBatches(images.count, size: model.workers, inputCount: model.inputCount)
            try batches.forEach(reporting: "computing images of \(task)", prepare: images.prepare) { batch, patches in
                try collector.collect(
                    patches, images: batch.count, features: features.base + batch.lowerBound * width, pool
                ) { index, values, rows in
                    for image in 0..<batch.count {
                        sums[index].add(values + image * rows * sums[index].size, rows: rows)
                    }
                }
            }
        }
        try keep(FeatureTable(rows: images.count, width: width, values: Array(features.elements)), of: task)
        var moments: [String: Matrix] = [:]
        for (key, sum) in zip(keys, sums) {
            let moment = (1 / Double(max(sum.rows, 1))) * sum.matrix
            for module in key.site.modules { moments["layers.\(key.layer).\(module)"] = moment }
        }
        return moments
    }

    private static func keys(of modules: Set<String>, layers: Int) -> [LayerInputCollector.Key] {
        (0..<layers).flatMap { layer in
            LayerSite.allCases.filter { site in
                site.modules.contains { modules.contains("layers.\(layer).\($0)") }
            }.map { LayerInputCollector.Key(layer: layer, site: $0) }
        }
    }
}
