import Compute

extension MergeMethod {
    /// Task arithmetic: the weighted sum of the tasks' changes.
    static let taskArithmetic = MergeMethod(
        name: "sum", formula: "ΔW = s · Σ w_t ΔW_t",
        source: "Ilharco et al., Editing Models with Task Arithmetic, ICLR 2023 (arXiv 2212.04089)",
        parameters: [scale]
    ) { tasks, settings in weightedSum(tasks, factor: settings["scale"]) }

    /// The average of the tasks' changes: task arithmetic at 1/T.
    static let average = MergeMethod(
        name: "average", formula: "ΔW = s/T · Σ w_t ΔW_t",
        source: "Wortsman et al., Model Soups, ICML 2022 (arXiv 2203.05482)", parameters: [scale]
    ) { tasks, settings in weightedSum(tasks, factor: settings["scale"] / Double(max(tasks.count, 1))) }

    /// factor · Σ w_t ΔW_t for every parameter that a task changes, or those wanted; low-rank as long as all changes are.
    static func weightedSum(
        _ tasks: [TaskVector], factor: Double, where wanted: (WeightDelta) -> Bool = { _ in true }
    ) -> [String: WeightDelta] {
        var merged: [String: WeightDelta] = [:]
        for name in Set(tasks.flatMap(\.deltas.keys)) {
            let parts = tasks.compactMap { task in task.deltas[name].map { (task.weight, $0) } }
            guard let first = parts.first, wanted(first.1) else { continue }
            merged[name] = sum(parts, factor: factor)
        }
        return merged
    }

    private static func sum(_ parts: [(weight: Double, delta: WeightDelta)], factor: Double) -> WeightDelta? {
        guard let shape = parts.first?.delta.shape else { return nil }
        var (left, right): ([Matrix], [Matrix]) = ([], [])
        for (weight, delta) in parts {
            guard case .lowRank(let b, let a, let scale) = delta.storage else { break }
            left.append((weight * scale) * b)
            right.append(a)
        }
        if left.count == parts.count {
            return WeightDelta(shape: shape, .lowRank(b: .side(bySide: left), a: .stacked(right), scale: factor))
        }
        var total = Matrix(rows: parts[0].delta.rows, columns: parts[0].delta.columns)
        for (weight, delta) in parts { total = total + (factor * weight) * delta.dense }
        return WeightDelta(shape: shape, .dense(total))
    }
}
