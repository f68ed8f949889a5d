import Evaluation

/// What `study` says on stdout.
enum StudyText {
    /// A line for each method and number of tasks, in percent: how many images get the label of the task's single
    /// adapter, how much of the single adapters' accuracy is kept, on
    /// average and at worst, and how often a merge is above the task's head alone.
    static func table(_ study: Study) -> String {
        var rows = [["method", "tasks", "merges", "same", "kept", "worst", "above head-only"]]
        for variant in study.variants {
            for size in study.sizes where size > 1 {
                let tasks = study.masks(variant, size: size)
                let kept = tasks.compactMap { $0.masks.ratio(to: $0.task.single)?.value }
                guard !kept.isEmpty else { continue }
                let same = study.results(variant, size: size).flatMap { $0.agreements ?? [] }.compactMap {
                    $0.same.accuracy?.value
                }
                let above = tasks.count { $0.masks.right > $0.task.headOnly.right }
                rows.append([
                    variant, "\(size)", "\(study.results(variant, size: size).count)",
                    same.count == kept.count ? tenths(100 * same.reduce(0, +) / Double(same.count)) : "-",
                    tenths(100 * kept.reduce(0, +) / Double(kept.count)), tenths(100 * (kept.min() ?? 0)),
                    "\(above) of \(tasks.count)",
                ])
            }
        }
        return TextTable.aligned(rows, left: [0])
    }
}
