import Compute

extension MergeMethod {
    /// The share of elements that trimming keeps.
    static func density(_ defaultValue: Double, _ summary: String) -> Parameter {
        Parameter(
            "density", default: defaultValue, in: 0...1, isAboveLower: true,
            candidates: [0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1], summary)
    }

    /// TIES on the true deltas: a task keeps the largest of all its elements, whatever matrix they are in.
    static let ties = MergeMethod(
        name: "ties",
        formula: "ΔW = s · mean of the trimmed w_t ΔW_t that have the sign of their sum; trimmed over all of a task",
        source: "Yadav et al., TIES-Merging, NeurIPS 2023 (arXiv 2306.01708)",
        parameters: [scale, density(0.2, "share of a task's elements that is kept")]
    ) { tasks, settings in
        let matrices = PerParameterDeltas(tasks, factor: settings["scale"])
        let thresholds = try TIES.thresholds(matrices, density: settings["density"]) { item, place in
            matrices.parameters[item].parts[place].delta.dense
        }
        return try matrices.merged { _, parts in
            let mean = TIES.disjointMean(
                parts.map(\.delta.dense), thresholds: parts.map { thresholds[$0.index] })
            return .dense(settings["scale"] * mean)
        }
    }
}
