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
        _ tasks: [TaskChanges], factor: Double, where wanted: (Change) -> Bool = { _ in true }
    ) -> [String: Change] {
        var merged: [String: Change] = [:]
        for name in Set(tasks.flatMap(\.changes.keys)) {
            let parts = tasks.compactMap { task in task.changes[name].map { (task.weight, $0) } }
            guard let first = parts.first, wanted(first.1) else { continue }
            merged[name] = sum(parts, factor: factor)
        }
        return merged
    }

    private static func sum(_ parts: [(weight: Double, change: Change)], factor: Double) -> Change? {
        guard let shape = parts.first?.change.shape else { return nil }
        var (left, right): ([Matrix], [Matrix]) = ([], [])
        for (weight, change) in parts {
            guard case .lowRank(let b, let a, let scale) = change.storage else { break }
            left.append((weight * scale) * b)
            right.append(a)
        }
        if left.count == parts.count {
            return Change(shape: shape, .lowRank(b: .side(bySide: left), a: .stacked(right), scale: factor))
        }
        var total = Matrix(rows: parts[0].change.rows, columns: parts[0].change.columns)
        for (weight, change) in parts { total = total + (factor * weight) * change.dense }
        return Change(shape: shape, .dense(total))
    }
}
