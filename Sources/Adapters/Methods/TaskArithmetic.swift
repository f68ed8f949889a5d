extension MergeMethod {
    /// Task arithmetic: the weighted sum of the tasks' changes.
    static let taskArithmetic = MergeMethod(
        name: "sum", formula: "ΔW = s · Σ w_t ΔW_t",
        source: "Ilharco et al., Editing Models with Task Arithmetic, ICLR 2023 (arXiv 2212.04089)"
    ) { changes, scale in
        guard let first = changes.first else { return [] }
        var sum = [Double](repeating: 0, count: first.delta.count)
        for change in changes {
            let factor = scale * change.weight
            for index in sum.indices { sum[index] += factor * change.delta[index] }
        }
        return sum
    }
}
