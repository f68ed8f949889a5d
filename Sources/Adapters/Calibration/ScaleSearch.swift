package import VisionTransformers

/// The choice of one merge's scale for its heads as they are and for aligned heads, over the same features.
extension Calibrator {
    /// Chooses the scale of a merge by unlabelled images, as `chooseScale` does, with and without alignment.
    ///
    /// The loss is taken to fall and then to rise with the scale: the search goes downhill from `start` until it rises. What
    /// the merge makes of the images at a scale is computed once for both.
    ///
    /// - Parameters:
    ///   - scales: those to choose from, ascending.
    ///   - start: where the search begins: at the nearest of them.
    ///   - aligning: for each choice that is wanted, whether heads are aligned at each scale before they are compared.
    ///   - limit: how many held-out images, and for alignment fitted ones, of a task are looked at.
    ///   - progress: told now and then how many images passed the merge; what it throws ends the search.
    /// - Returns: the best scale for each choice.
    /// - Throws: `SettingError` for a scale out of range; `ModelError`, `ComputeError`.
    package func chooseScales(
        of merged: MergedBackbone, among scales: [Double], near start: Double, aligning: [Bool], limit: Int,
        progress: (_ images: Int) throws -> Void
    ) throws -> [Double] {
        guard let middle = scales.indices.min(by: { abs(scales[$0] - start) < abs(scales[$1] - start) }) else {
            return aligning.map { _ in merged.scale }
        }
        var known: [Int: [Double]] = [:]
        func loss(_ index: Int, _ choice: Int) throws -> Double {
            if let losses = known[index] { return losses[choice] }
            let candidate = try merged.rescaled(to: scales[index])
            let losses = try losses(of: candidate, aligning: aligning, limit: limit, progress)
            known[index] = losses
            return losses[choice]
        }
        return try aligning.indices.map { choice in
            var best = middle
            for step in [1, -1] {
                while scales.indices.contains(best + step), try loss(best + step, choice) < loss(best, choice) {
                    best += step
                }
                // Uphill on the other side of where it came from.
                if best != middle { break }
            }
            return scales[best]
        }
    }

    /// The heads of a merge's tasks, aligned on all images as `align` does it, in the order of its adapters.
    ///
    /// - Parameter progress: told after every task how many images passed the merge; what it throws ends the work.
    /// - Throws: `ModelError`, `ComputeError`.
    package func alignedHeads(
        of merged: MergedBackbone, progress: (_ images: Int) throws -> Void
    ) throws -> [Head] {
        let model = try model(merged)
        return try merged.adapters.map { item in
            let features = try features(model, item.adapter.task, .max)
            try progress(features.fitted.rows + features.heldOut.rows)
            let result = try align(item.adapter.head, features, rank: nil, limit: .max)
            return result.isBetter ? result.head : item.adapter.head
        }
    }

    /// The mean over tasks of how far a merge's answers on held-out images diverge from the single adapters', for each choice of
    /// alignment.
    private func losses(
        of merged: MergedBackbone, aligning: [Bool], limit: Int, _ progress: (_ images: Int) throws -> Void
    ) throws -> [Double] {
        let model = try model(merged)
        var sums = aligning.map { _ in 0.0 }
        for item in merged.adapters {
            let (task, teacher) = (item.adapter.task, item.adapter.head)
            let images = try images(of: task)
            let held = try images.features(model, images.indices(heldOut: true, limit: limit))
            let single = try single(task, limit)
            try progress(held.rows)
            var fitted: FeatureTable?
            if aligning.contains(true) {
                let table = try images.features(model, images.indices(heldOut: false, limit: limit))
                try progress(table.rows)
                fitted = table
            }
            for (choice, aligns) in aligning.enumerated() {
                var head = teacher
                if aligns, let fitted { head = try align(teacher, (fitted, held), rank: nil, limit: limit).fitted }
                sums[choice] += Agreement(head, held, teacher: teacher, single.heldOut).divergence
            }
        }
        return sums.map { $0 / Double(max(merged.adapters.count, 1)) }
    }
}
