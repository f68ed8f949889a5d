public import Compute
import VisionTransformers

extension Calibrator {
    /// Σ xᵀx / n of what each adapted module reads when a task's single adapter sees the task's images, by module.
    ///
    /// Forward passes only; the sums are kept for each layer, so memory does not grow with the number of images.
    ///
    /// - Parameter modules: the modules that are wanted, by canonical name; those outside the blocks are left out.
    /// - Throws: `ModelError`, `ComputeError`.
    public func inputMoments(of task: String, modules: Set<String>) throws -> [String: Matrix] {
        let (model, images) = try singleModel(task)
        var sums = [[Key: GramMatrix]](repeating: [:], count: model.workers)
        for key in Self.keys(of: modules, layers: base.configuration.layers) {
            let size = key.place == .mlpHidden ? base.configuration.intermediateSize : base.configuration.hiddenSize
            for worker in sums.indices { sums[worker][key] = GramMatrix(size: size) }
        }
        let workers = sums
        try BLASThreads.single {
            try images.forEachBatch(model) { patches, count in
                try model.observe(patches, images: count) { worker, layer, place, values, rows, _ in
                    workers[worker][Key(layer: layer, place: place)]?.add(values, rows: rows)
                }
            }
        }
        var moments: [String: Matrix] = [:]
        for key in workers[0].keys {
            let parts = workers.compactMap { $0[key] }
            guard let first = parts.first else { continue }
            let rows = Double(max(parts.reduce(0) { $0 + $1.rows }, 1))
            let sum = parts.dropFirst().reduce(first.matrix) { $0 + $1.matrix }
            for module in key.place.modules { moments["layers.\(key.layer).\(module)"] = (1 / rows) * sum }
        }
        return moments
    }

    /// A place where layers read.
    private struct Key: Hashable {
        let layer: Int
        let place: LayerInput.Place
    }

    private static func keys(of modules: Set<String>, layers: Int) -> [Key] {
        (0..<layers).flatMap { layer in
            LayerInput.Place.allCases.filter { place in
                place.modules.contains { modules.contains("layers.\(layer).\($0)") }
            }.map { Key(layer: layer, place: $0) }
        }
    }
}
