package import Files

/// What merging costs: each task's own adapter, alone over the base, against the merge, on the same images.
package struct OwnComparison: Sendable {
    /// For each task, the own adapter's predictions and then the merge's.
    package let tasks: [TaskComparison]
    /// A description of the own adapters: paths, hashes.
    package let adapters: JSON

    /// The comparisons of some tasks, the own adapter first.
    package init(tasks: [TaskComparison], adapters: JSON) { (self.tasks, self.adapters) = (tasks, adapters) }

    /// The mean over the tasks of the accuracy that is kept; nil without any.
    package var meanKept: Double? {
        let shares = tasks.compactMap(\.kept)
        return shares.isEmpty ? nil : shares.reduce(0, +) / Double(shares.count)
    }

    /// The numbers of a task by their names in `metrics.csv`.
    func estimates(of task: String) -> [(String, Estimate?)] {
        guard let compared = tasks.first(where: { $0.task.name == task }) else { return [] }
        return [
            ("own_top1", compared.metrics[0]?.top1), ("kept", compared.kept.map { Estimate($0, nil) }),
            ("difference_from_own", compared.gain), ("mcnemar_p", Estimate(compared.test.pValue, nil)),
        ]
    }

    /// The comparison as `metrics.json` has it.
    var json: JSON {
        .object([
            "mean_kept": meanKept.map(JSON.double) ?? .null,
            "tasks": .array(
                tasks.map { compared in
                    .object([
                        "name": .string(compared.task.name), "images": .int(compared.images),
                        "own_top1": compared.metrics[0].map(\.top1.json) ?? .null,
                        "merged_top1": compared.metrics[1].map(\.top1.json) ?? .null,
                        "kept": compared.kept.map(JSON.double) ?? .null,
                        "difference": compared.gain.map(\.json) ?? .null,
                        "only_own_right": .int(compared.test.onlyFirst),
                        "only_merged_right": .int(compared.test.onlySecond), "mcnemar": compared.test.json,
                    ])
                }), "adapters": adapters,
        ])
    }
}

extension TaskComparison {
    /// The accuracy of the second divided by that of the first; nil when the first is never right.
    package var kept: Double? {
        guard let (own, merged) = metrics[0].flatMap({ own in metrics[1].map { (own.top1.value, $0.top1.value) } }),
            own > 0
        else { return nil }
        return merged / own
    }
}
