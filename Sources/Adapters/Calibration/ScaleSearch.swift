import Files
import VisionTransformers

/// The choice of a merge's scale and parameters by images.
///
/// Two searches share one loss: `chooseScale` narrows a range of scales for all adapters, `chooseScales` goes downhill
/// from a scale that is known to be near, for heads with and without alignment at once (`study`).
extension MergeTuner {
    /// Chooses the scale of a merge: the one with the least mean loss over the tasks (see `losses`).
    ///
    /// The loss is assumed to fall and then to rise with the scale, so few of the scales are tried (see `search`).
    ///
    /// - Parameters:
    ///   - scales: those to choose from, ascending.
    ///   - aligning: whether heads are aligned at each scale before they are compared.
    ///   - rank: the rank of the alignment, or nil for full.
    ///   - limit: how many fitted and how many held-out images of a task are used.
    /// - Returns: the merge at the best scale, and the mean loss at every scale that was tried.
    /// - Throws: `ParameterError` for a scale out of range; `ModelError`, `ComputeError`.
    package func chooseScale(
        of merged: MergedBackbone, among scales: [Double], aligning: Bool, rank: Int? = nil, limit: Int = 1000
    ) throws -> (best: MergedBackbone, losses: [(scale: Double, loss: Double)]) {
        let tasks = merged.adapters.map(\.adapter.task)
        try computeSingles(tasks.filter { aligning || images[$0]?.classes == nil }, limit)
        let most = Self.mostTrials(of: scales.count)
        var computed: [Int: Double] = [:]
        try Self.search(scales.count) { index in
            if let value = computed[index] { return value }
            let candidate = try merged.rescaled(to: scales[index])
            let value = try LongWork.part("trying scales", computed.count, of: max(most, computed.count + 1)) {
                try losses(of: candidate, aligning: [aligning], rank: rank, limit: limit)[0]
            }
            computed[index] = value
            return value
        }
        let tried = computed.sorted { $0.key < $1.key }.map { (scale: scales[$0.key], loss: $0.value) }
        guard let best = tried.min(by: { $0.loss < $1.loss }) else { return (merged, []) }
        return (try merged.rescaled(to: best.scale), tried)
    }

    /// Looks for the least of some losses, which fall and then rise, by a Fibonacci search: two are compared, and what
    /// lies beyond the larger one is left out. The distances are Fibonacci numbers, so that one of the two is
    /// compared again.
    static func search(_ count: Int, _ loss: (_ index: Int) throws -> Double) rethrows {
        // The least is after `low` and before `low + larger + smaller`.
        var (low, larger, smaller) = (-1, 1, 1)
        while larger + smaller <= count { (larger, smaller) = (larger + smaller, larger) }
        while larger > 1 {
            let (first, second) = (low + smaller, low + larger)
            if try second >= count || loss(first) <= loss(second) {
                (larger, smaller) = (smaller, larger - smaller)
            } else {
                (low, larger, smaller) = (first, smaller, larger - smaller)
            }
        }
        if count > 0 { _ = try loss(low + 1) }
    }

    /// How many losses `search` asks for at most, wherever the least one is.
    static func mostTrials(of count: Int) -> Int {
        (0..<count).map { least in
            var tried: Set<Int> = []
            search(count) { index in
                tried.insert(index)
                return Double(abs(index - least))
            }
            return tried.count
        }.max() ?? 0
    }

    /// Chooses the parameters of a method that can be searched, one after the other, each value at the scale that suits
    /// it.
    ///
    /// - Parameters:
    ///   - start: where the search starts.
    ///   - fixed: the names of parameters that are left as they are.
    ///   - limit: how many fitted and how many held-out images of a task are used.
    ///   - merge: merges by a method with other values.
    /// - Returns: the values with the least loss; the scale among them is one of `scales`.
    /// - Throws: errors of the merge and of the models.
    package func chooseParameters(
        from start: ConfiguredMethod, fixed: Set<String>, scales: [Double], aligning: Bool,
        rank: Int? = nil, limit: Int = 200, merge: (ConfiguredMethod) throws -> MergedBackbone
    ) throws -> ConfiguredMethod {
        var (chosen, least) = (start, Double.infinity)
        for parameter in start.method.parameters where !parameter.candidates.isEmpty && !fixed.contains(parameter.name)
        {
            let start = chosen
            for (index, value) in parameter.candidates.enumerated() {
                let found = try LongWork.part("trying \(parameter.name)", index, of: parameter.candidates.count) {
                    let merged = try merge(start.setting(parameter, to: value))
                    return try chooseScale(of: merged, among: scales, aligning: aligning, rank: rank, limit: limit)
                }
                let loss = found.losses.map(\.loss).min() ?? .infinity
                if loss < least { (chosen, least) = (found.best.plan.merge, loss) }
            }
        }
        return chosen
    }

    /// Chooses the scale of a merge as `chooseScale` does, with and without alignment, over the same features.
    ///
    /// The loss is assumed to fall and then to rise with the scale: the search goes downhill from `start` until it
    /// rises. It tries fewer scales than `chooseScale` where a good one is known to be near, and another one where the
    /// loss has several valleys.
    ///
    /// - Parameters:
    ///   - scales: those to choose from, ascending.
    ///   - start: where the search begins: at the nearest of them.
    ///   - aligning: for each choice, whether heads are aligned at each scale before they are compared.
    ///   - limit: how many held-out images, and for alignment fitted ones, of a task are used.
    ///   - progress: told now and then how many images passed the merge; an error that it throws ends the search.
    /// - Returns: the best scale for each choice.
    /// - Throws: `ParameterError` for a scale out of range; `ModelError`, `ComputeError`.
    package func chooseScales(
        of merged: MergedBackbone, among scales: [Double], near start: Double, aligning: [Bool], limit: Int,
        progress: (_ images: Int) throws -> Void
    ) throws -> [Double] {
        guard let middle = scales.indices.min(by: { abs(scales[$0] - start) < abs(scales[$1] - start) }) else {
            return aligning.map { _ in merged.scale }
        }
        var computed: [Int: [Double]] = [:]
        func loss(_ index: Int, _ choice: Int) throws -> Double {
            if let losses = computed[index] { return losses[choice] }
            let candidate = try merged.rescaled(to: scales[index])
            let losses = try losses(of: candidate, aligning: aligning, rank: nil, limit: limit, progress: progress)
            computed[index] = losses
            return losses[choice]
        }
        return try aligning.indices.map { choice in
            var best = middle
            for step in [1, -1] {
                while scales.indices.contains(best + step), try loss(best + step, choice) < loss(best, choice) {
                    best += step
                }
                // It is uphill on the other side, where the search came from.
                if best != middle { break }
            }
            return scales[best]
        }
    }

    /// The mean over the tasks of the loss on held-out images, for each choice of alignment: the divergence of the
    /// predictions from the single adapter's or, for a task whose images have classes, their cross entropy.
    ///
    /// - Parameters:
    ///   - aligning: for each choice, whether heads are aligned first.
    ///   - rank: the rank of the alignment, or nil for full.
    ///   - limit: how many held-out images, and for alignment fitted ones, of a task are used.
    ///   - progress: told now and then how many images passed the merge.
    private func losses(
        of merged: MergedBackbone, aligning: [Bool], rank: Int?, limit: Int,
        progress: (_ images: Int) throws -> Void = { _ in }
    ) throws -> [Double] {
        let model = try model(merged)
        var sums = aligning.map { _ in 0.0 }
        for (index, item) in merged.adapters.enumerated() {
            let (task, teacher) = (item.adapter.task, item.adapter.head)
            try LongWork.part("tasks", index, of: merged.adapters.count) {
                let images = try images(of: task)
                let indices = images.indices(heldOut: true, limit: limit)
                let heldOut = try images.features(model, indices)
                try progress(heldOut.rows)
                var fitted: FeatureTable?
                if aligning.contains(true) {
                    let table = try images.features(model, images.indices(heldOut: false, limit: limit))
                    try progress(table.rows)
                    fitted = table
                }
                for (choice, aligns) in aligning.enumerated() {
                    var head = teacher
                    if aligns, let fitted {
                        head = try align(teacher, (fitted, heldOut), rank: rank, limit: limit).fitted
                    }
                    if let classes = images.classes {
                        sums[choice] += Agreement.crossEntropy(head, heldOut, classes: indices.map { classes[$0] })
                    } else {
                        sums[choice] +=
                            try Agreement(head, heldOut, teacher: teacher, single(task, limit).heldOut).divergence
                    }
                }
            }
        }
        return sums.map { $0 / Double(max(merged.adapters.count, 1)) }
    }
}
