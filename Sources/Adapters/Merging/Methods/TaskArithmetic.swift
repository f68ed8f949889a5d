import Compute

extension MergeMethod {
    /// Task arithmetic: the weighted sum of the task vectors.
    static let taskArithmetic = MergeMethod(
        "sum", formula: "ΔW = s · Σ w_t ΔW_t",
        source: "Ilharco et al., Editing Models with Task Arithmetic, ICLR 2023 (arXiv 2212.04089)"
    ) { inputs in weightedSum(inputs.tasks) }

    /// The average of the task vectors: task arithmetic at 1/T.
    static let average = MergeMethod(
        "average", formula: "ΔW = s/T · Σ w_t ΔW_t",
        source: "Wortsman et al., Model Soups, ICML 2022 (arXiv 2203.05482)"
    ) { inputs in weightedSum(inputs.tasks, factor: 1 / Double(max(inputs.tasks.count, 1))) }

    /// No merge: the base as it is, for streams over it and heads that are aligned with it.
    static let base = MergeMethod(
        "base", formula: "ΔW = 0", source: "the base without its adapters, for streams and aligned heads"
    ) { _ in [:] }

    /// factor · Σ w_t ΔW_t of every parameter that a task changes, or of those that are included; low-rank as long as
    /// all deltas are.
    static func weightedSum(
        _ tasks: [TaskVector], factor: Double = 1, where isIncluded: (WeightDelta) -> Bool = { _ in true }
    ) -> [String: WeightDelta] {
        var merged: [String: WeightDelta] = [:]
        for name in Set(tasks.flatMap(\.deltas.keys)) {
            let parts = tasks.compactMap { task in task.deltas[name].map { (task.weight, $0) } }
            guard let first = parts.first, isIncluded(first.1) else { continue }
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
