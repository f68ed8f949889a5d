import Compute

extension MergeMethod {
    private static let kept = density(0.5, "chance of an element to be kept")

    /// The weighted sum of randomly thinned deltas.
    static let dare = MergeMethod(
        name: "dare", formula: "ΔW = s · Σ w_t mask_t ⊙ ΔW_t / density",
        source: "Yu et al., Language Models are Super Mario, ICML 2024 (arXiv 2311.03099)", parameters: [scale, kept]
    ) { tasks, settings in
        try PerParameterDeltas(tasks, factor: settings["scale"]).merged { name, parts in
            var sum = Matrix(rows: parts[0].delta.rows, columns: parts[0].delta.columns)
            for matrix in dropped(parts, name, settings) { sum = sum + matrix }
            return .dense(settings["scale"] * sum)
        }
    }

    /// Sign election over randomly thinned deltas.
    static let dareTies = MergeMethod(
        name: "dare-ties", formula: "ΔW = s · mean of the w_t mask_t ⊙ ΔW_t / density that have the sign of their sum",
        source: "Yu et al., ICML 2024 (arXiv 2311.03099), with the sign election of TIES (arXiv 2306.01708)",
        parameters: [scale, kept]
    ) { tasks, settings in
        try PerParameterDeltas(tasks, factor: settings["scale"]).merged { name, parts in
            let mean = TIES.disjointMean(
                dropped(parts, name, settings), thresholds: parts.map { _ in 0 })
            return .dense(settings["scale"] * mean)
        }
    }

    /// The tasks' matrices with elements dropped at random.
    private static func dropped(_ parts: [WeightedDelta], _ name: String, _ settings: MergeSettings) -> [Matrix] {
        parts.map { part in
            var drop = DARE(seed: settings.seed, task: part.task, parameter: name)
            return drop.drop(part.delta.dense, density: settings["density"])
        }
    }
}
