import Files
import Tensors
import VisionTransformers

/// The choice of a merge's scale and parameters by images.
extension Calibrator {
    /// Chooses the scale of a merge: the one whose answers are nearest, summed over tasks.
    ///
    /// Near are answers that diverge little from the single adapter's or, for a task whose images have classes, that have a
    /// small cross entropy with them. The loss is taken to fall and then to rise with the scale, so that a third of the scales is
    /// left out after every two of them that are tried.
    ///
    /// - Parameters:
    ///   - scales: those to choose from, ascending.
    ///   - aligning: whether heads are aligned at each scale before they are compared.
    ///   - rank: the rank of the alignment, or nil for full.
    ///   - limit: how many fitted and how many held-out images of a task are looked at.
    /// - Returns: the merge at the best scale, and the mean loss at every scale that was tried.
    /// - Throws: `SettingError` for a scale out of range; `ModelError`, `ComputeError`.
    package func chooseScale(
        of merged: MergedBackbone, among scales: [Double], aligning: Bool, rank: Int? = nil, limit: Int = 1000
    ) throws -> (best: MergedBackbone, losses: [(scale: Double, loss: Double)]) {
        let tasks = merged.adapters.map(\.adapter.task)
        try computeSingles(tasks.filter { aligning || images[$0]?.classes == nil }, limit)
        let most = Self.mostTrials(of: scales.count)
        var known: [Int: Double] = [:]
        try Self.search(scales.count) { index in
            if let value = known[index] { return value }
            let candidate = try merged.rescaled(to: scales[index])
            let value = try LongWork.part("trying scales", known.count, of: max(most, known.count + 1)) {
                try loss(of: candidate, aligning: aligning, rank: rank, limit: limit)
            }
            known[index] = value
            return value
        }
        let tried = known.sorted { $0.key < $1.key }.map { (scale: scales[$0.key], loss: $0.value) }
        guard let best = tried.min(by: { $0.loss < $1.loss }) else { return (merged, []) }
        return (try merged.rescaled(to: best.scale), tried)
    }

    /// Looks for the least of some losses, which fall and then rise: two are compared, and the third beyond the larger
    /// one is left out.
    static func search(_ count: Int, _ loss: (_ index: Int) throws -> Double) rethrows {
        var (low, high) = (0, count - 1)
        while high - low > 2 {
            let third = (high - low) / 3
            if try loss(low + third) <= loss(high - third) { high -= third } else { low += third }
        }
        for index in 0..<count where (low...max(low, high)).contains(index) { _ = try loss(index) }
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

    /// Chooses the parameters of a method that can be searched, one after the other, each value at the scale that suits it.
    ///
    /// - Parameters:
    ///   - settings: where the search starts.
    ///   - fixed: parameters that are left as they are.
    ///   - limit: how many fitted and how many held-out images of a task are looked at.
    ///   - merge: merges with some settings.
    /// - Returns: the settings with the least loss; the scale among them is one of `scales`.
    /// - Throws: errors of the merge and of the models.
    package func chooseParameters(
        of method: MergeMethod, from settings: MergeSettings, fixed: Set<String>, scales: [Double], aligning: Bool,
        rank: Int? = nil, limit: Int = 200, merge: (MergeSettings) throws -> MergedBackbone
    ) throws -> MergeSettings {
        var (chosen, least) = (settings, Double.infinity)
        for parameter in method.parameters where !parameter.candidates.isEmpty && !fixed.contains(parameter.name) {
            let start = chosen
            for (index, value) in parameter.candidates.enumerated() {
                let found = try LongWork.part("trying \(parameter.name)", index, of: parameter.candidates.count) {
                    let merged = try merge(start.setting(parameter, to: value))
                    return try chooseScale(of: merged, among: scales, aligning: aligning, rank: rank, limit: limit)
                }
                let loss = found.losses.map(\.loss).min() ?? .infinity
                if loss < least { (chosen, least) = (found.best.settings, loss) }
            }
        }
        return chosen
    }

    /// The mean over tasks of how far a merge's answers on the held-out images are from what they should be.
    private func loss(of merged: MergedBackbone, aligning: Bool, rank: Int?, limit: Int) throws -> Double {
        let model = try model(merged)
        var sum = 0.0
        for (index, item) in merged.adapters.enumerated() {
            let (task, teacher) = (item.adapter.task, item.adapter.head)
            sum += try LongWork.part("tasks", index, of: merged.adapters.count) {
                let features = try features(model, task, limit)
                let head = aligning ? try align(teacher, features, rank: rank, limit: limit).fitted : teacher
                if let images = images[task], let classes = images.classes {
                    let held = images.indices(heldOut: true, limit: limit).map { classes[$0] }
                    return Agreement.crossEntropy(head, features.heldOut, classes: held)
                }
                return try Agreement(head, features.heldOut, teacher: teacher, single(task, limit).heldOut).divergence
            }
        }
        return sum / Double(max(merged.adapters.count, 1))
    }
}
